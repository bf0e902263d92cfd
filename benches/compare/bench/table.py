"""The table as text and as Markdown."""

MARKS = {True: "✓", False: "✗", None: "?"}


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


def header(names):
    """The columns."""
    return ["", "unit", *names, *(f"rnet/{name}" for name in names if name != "rnet"), "goals"]


def cells(row, names):
    """One row's columns."""
    ratios = [f"{ratio:.2f}" if (ratio := row.ratio(name)) is not None else "–" for name in names if name != "rnet"]
    goals = ", ".join(f"{goal} {MARKS[met]}" for goal, met in row.verdicts())
    arrow = "" if row.metric.more_is_better else " (less is better)"
    return [row.metric.title + arrow, row.metric.unit, *(cell_text(row.cells[name]) for name in names), *ratios, goals]


def text(rows, names):
    """For a terminal."""
    lines = [header(names), *(cells(row, names) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]

    def laid_out(line):
        left = [line[0].ljust(widths[0]), line[1].ljust(widths[1])]
        right = [word.rjust(width) for word, width in zip(line[2:-1], widths[2:-1])]
        return "  ".join([*left, *right, line[-1]]).rstrip()

    return "\n".join(laid_out(line) for line in lines)


def markdown(rows, names):
    """For RESULTS.md."""
    lines = [header(names), ["---", "---", *["---:"] * (2 * len(names) - 1), "---"], *(cells(row, names) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def notes(rows, names, about):
    """What the table cannot say in figures: who cannot do what, what failed, which defects are known."""
    found = [f"known defect of {name}: {defect}" for name, defects in about["defects"].items() for defect in defects]
    for name in names:
        reasons = {}
        for row in rows:
            if reason := row.cells[name].reason:
                reasons.setdefault(reason, []).append(row.key.split(".")[0])
        found += [f"{name} {reason}: {', '.join(dict.fromkeys(keys))}" for reason, keys in reasons.items()]
    found.append("± is half the distance between the lowest and the highest sample; * marks a figure that some rounds failed to give")
    return found
