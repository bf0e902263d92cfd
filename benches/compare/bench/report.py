"""From samples to rows, and from rows to a table, JSON, a chart and RESULTS.md."""

import json
import statistics
from dataclasses import dataclass, field

from . import chart, results, table
from .load import Cannot
from .metric import Ceiling, Goal, Metric


@dataclass
class Cell:
    """One contender's figure in one row, or why there is none."""

    values: list = field(default_factory=list)
    reason: str = ""
    is_nature: bool = False

    @property
    def median(self):
        """The median of the samples, or None."""
        return statistics.median(self.values) if self.values else None

    @property
    def spread(self):
        """From the lowest to the highest, as a share of the median."""
        return (max(self.values) - min(self.values)) / abs(self.median) if self.values and self.median else 0.0


@dataclass
class Row:
    """One metric of one measurement, of all contenders."""

    key: str
    metric: Metric
    cells: dict

    def ratio(self, peer):
        """The median of rnet to that of a peer, or None."""
        ours, theirs = self.cells["rnet"].median, self.cells[peer].median
        return ours / theirs if ours is not None and theirs else None

    def verdicts(self):
        """Each goal in words, and whether it is met (None: cannot be told)."""
        return [(str(goal), self._met(goal)) for goal in self.metric.goals]

    def _met(self, goal):
        if isinstance(goal, Ceiling):
            ours = self.cells["rnet"].median
            return None if ours is None else ours <= goal.most
        ratios = [ratio for peer in self._peers(goal) if (ratio := self.ratio(peer)) is not None]
        return all(goal.met(ratio) for ratio in ratios) if ratios else None

    def _peers(self, goal: Goal):
        proxies = [name for name in self.cells if not name.startswith("rnet") and name != "veth"]
        if goal.peer == "peers":
            return proxies
        # Of several builds of pasta all must be beaten, so the better one must.
        return [name for name in self.cells if name.split()[0] == goal.peer]


def rows(chosen, contenders, samples):
    """The table's rows."""
    found = []
    for measurement in chosen:
        for metric in measurement.metrics:
            cells = {one.name: _cell(measurement, metric, one, samples) for one in contenders}
            # A row that nobody was asked for (a quick run leaves some out) is not one.
            if any(cell.values or (cell.reason and not cell.is_nature) for cell in cells.values()):
                found.append(Row(f"{measurement.key}.{metric.key}", metric, cells))
    return found


def _cell(measurement, metric, contender, samples):
    cell = Cell(samples.figures.get((measurement.key, metric.key, contender.name), []))
    failures = samples.failures.get((measurement.key, contender.name), [])
    if failures:
        cell.is_nature = all(isinstance(failure, Cannot) for failure in failures)
        times = f" ({len(failures)} times)" if len(failures) > 1 else ""
        cell.reason = f"{'cannot' if cell.is_nature else 'failed'}: {failures[-1]}{'' if cell.is_nature else times}"
    return cell


def is_incomplete(all_rows, _contenders):
    """Whether rnet has no figure where it should have one."""
    return any(cell.reason and not cell.is_nature for row in all_rows for name, cell in row.cells.items() if name == "rnet")


def write(all_rows, contenders, about, options):
    """Prints the table and writes the files."""
    names = [one.name for one in contenders]
    print(table.text(all_rows, names))
    for line in table.notes(all_rows, names, about):
        print(line)
    options.output.mkdir(parents=True, exist_ok=True)
    document = {"about": about, "rows": [_json(row) for row in all_rows]}
    (options.output / "results.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    (options.output / "ratios.svg").write_text(chart.svg(all_rows, names, about))
    print(f"\nwritten: {options.output}/results.json, ratios.svg")
    if options.write_results:
        results.write(all_rows, names, about)


def _json(row):
    return {
        "key": row.key,
        "title": row.metric.title,
        "unit": row.metric.unit,
        "more_is_better": row.metric.more_is_better,
        "goals": [{"goal": goal, "met": met} for goal, met in row.verdicts()],
        "contenders": {
            name: {
                "median": cell.median,
                "spread": cell.spread,
                "samples": cell.values,
                "ratio": None if name == "rnet" else row.ratio(name),
                "reason": cell.reason,
            }
            for name, cell in row.cells.items()
        },
    }
