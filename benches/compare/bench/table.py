"""The table as text and as Markdown."""

MARKS = {True: "✓", False: "✗", None: "?"}


class Columns:
    """Which contenders have a column, and to which groups there are ratios."""

    def __init__(self, contenders):
        # More threads of rnet have a table of their own.
        self.names = [one.name for one in contenders if getattr(one, "threads", 1) == 1]
        self.peers = list(dict.fromkeys(one.group for one in contenders if one.group))
        self._many = {peer for peer in self.peers if sum(one.group == peer for one in contenders) > 1}

    def header(self):
        """Their titles."""
        ratios = [f"rnet/{'best ' if peer in self._many else ''}{peer}" for peer in self.peers]
        return ["", "unit", *self.names, *ratios, "goals"]

    def cells(self, row, rows):
        """One row's columns."""
        ratios = [ratio_text(row.ratio(row.best(peer))) for peer in self.peers]
        unit = row.metric.unit if row.metric.more_is_better else f"{row.metric.unit} ↓"
        return [row.metric.title, unit, *(cell_text(row.cells[name]) for name in self.names), *ratios, goals_text(row.verdicts(rows))]


def lines(rows, columns):
    """Header and rows."""
    return [columns.header(), *(columns.cells(row, rows) for row in rows)]


def figure(value):
    """A number with three digits that matter."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def cell_text(cell):
    """Median and, where there are several samples, spread."""
    if not cell.values:
        return "cannot" if cell.is_nature else "failed" if cell.reason else "–"
    spread = f" ±{50 * cell.spread:.0f}%" if len(cell.values) > 1 else ""
    return figure(cell.median) + spread + ("*" if cell.reason else "")


def ratio_text(ratio):
    """A ratio, or a dash."""
    return "–" if ratio is None else figure(ratio)


def goals_text(verdicts):
    """Goals with their marks."""
    return ", ".join(f"{goal} {MARKS[met]}" for goal, met in verdicts)


def text(all_lines):
    """For a terminal."""
    widths = [max(len(line[column]) for line in all_lines) for column in range(len(all_lines[0]))]

    def laid_out(line):
        left = [line[0].ljust(widths[0]), line[1].ljust(widths[1])]
        right = [word.rjust(width) for word, width in zip(line[2:-1], widths[2:-1])]
        return "  ".join([*left, *right, line[-1]]).rstrip()

    return "\n".join(laid_out(line) for line in all_lines)


def markdown(all_lines):
    """For RESULTS.md."""
    header, *rest = all_lines
    rule = ["---", "---", *["---:"] * (len(header) - 3), "---"]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *rest])


def notes(rows, contenders, about):
    """What the table cannot say in figures: who cannot do what, what failed, which defects are known."""
    found = []
    defects = {}
    for name, known in about["defects"].items():
        for defect in known:
            defects.setdefault(defect, []).append(name)
    found += [f"known defect of {', '.join(names)}: {defect}" for defect, names in defects.items()]
    for name in (one.name for one in contenders):
        reasons = {}
        for row in rows:
            if reason := row.cells[name].reason:
                reasons.setdefault(reason, []).append(row.key.split(".")[0])
        found += [f"{name}, {', '.join(dict.fromkeys(keys))}: {reason}" for reason, keys in reasons.items()]
    found.append(
        "↓: less is better; ±: half the distance between the lowest and the highest sample; *: a figure with a remark above, or that "
        "some rounds failed to give; –: not measured for this contender; rnet/best: against the best of a peer's columns in that row"
    )
    return found
