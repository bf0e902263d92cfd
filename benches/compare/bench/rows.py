"""From samples to rows: what one metric is for all contenders."""

import statistics
from dataclasses import dataclass, field

from .load import Cannot, Remark
from .metric import Metric


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
    # The contenders' groups by name: "pasta" for each build of it, None for rnet.
    groups: dict

    @property
    def ours(self):
        """The median of rnet, or None."""
        return self.cells["rnet"].median

    def proxy_groups(self):
        """The groups of the contenders that are proxies, other than rnet."""
        return list(dict.fromkeys(group for group in self.groups.values() if group not in (None, "veth")))

    def best(self, group):
        """The contender of a group with the best median, or None."""
        found = [name for name, of in self.groups.items() if of == group and self.cells[name].median is not None]
        pick = max if self.metric.more_is_better else min
        return pick(found, key=lambda name: self.cells[name].median) if found else None

    def ratio(self, peer, ours="rnet"):
        """The median of rnet, or of a variant, to that of a peer, or None."""
        theirs = self.cells[peer].median if peer in self.cells else None
        mine = self.cells[ours].median
        # A figure that is a difference may be below zero, and has no ratio then.
        return mine / theirs if mine is not None and theirs and mine >= 0 and theirs > 0 else None

    def of(self, name):
        """The same row with a variant in rnet's place."""
        return Row(self.key, self.metric, {**self.cells, "rnet": self.cells[name]}, self.groups)

    def verdicts(self, rows):
        """Each goal in words, and whether it is met (None: cannot be told)."""
        return [(str(goal), goal.met(self, rows)) for goal in self.metric.goals]


def rows(chosen, contenders, samples):
    """The table's rows."""
    found = []
    groups = {one.name: one.group for one in contenders}
    for measurement in chosen:
        for metric in measurement.metrics:
            cells = {one.name: _cell(measurement, metric, one, samples) for one in contenders}
            # A row that nobody was asked for (a quick run leaves some out) is not one.
            if any(cell.values for cell in cells.values()) or cells["rnet"].reason:
                found.append(Row(f"{measurement.key}.{metric.key}", metric, cells, groups))
    return found


def _cell(measurement, metric, contender, samples):
    key = (measurement.key, metric.key, contender.name)
    cell = Cell(samples.figures.get(key, []))
    failures = samples.failures.get(key, [])
    if failures:
        last = failures[-1]
        cell.is_nature = all(isinstance(failure, Cannot) for failure in failures)
        times = f" ({len(failures)} times)" if len(failures) > 1 and not cell.is_nature else ""
        kind = "cannot: " if cell.is_nature else "" if isinstance(last, Remark) else "failed: "
        cell.reason = f"{kind}{last}{times}"
    return cell
