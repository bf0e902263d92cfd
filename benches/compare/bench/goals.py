"""What a row shall reach. Each goal has words, and says of a row whether it is met: True, False, or None where it cannot be told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """The ratio of rnet's median to a peer's shall be at least (`>=`) or at most (`<=`) a factor.

    Of several builds of a peer the best in the row counts. "peers": each proxy.
    """

    peer: str
    relation: str
    factor: float

    def met(self, row, _rows):
        """Whether it is met by all whom it is about."""
        groups = row.proxy_groups() if self.peer == "peers" else [self.peer]
        ratios = [ratio for group in groups if (ratio := row.ratio(row.best(group))) is not None]
        return all(self._good(ratio) for ratio in ratios) if ratios else None

    def _good(self, ratio):
        return ratio >= self.factor if self.relation == ">=" else ratio <= self.factor

    def __str__(self):
        return f"{_sign(self.relation)}{self.factor:g} {self.peer}"


@dataclass(frozen=True)
class Bound:
    """rnet's median itself shall be at least, or at most, this."""

    relation: str
    bound: float

    def met(self, row, _rows):
        """Whether it is."""
        ours = row.ours
        if ours is None:
            return None
        return ours >= self.bound if self.relation == ">=" else ours <= self.bound

    def __str__(self):
        return f"{_sign(self.relation)}{self.bound:,g} itself"


@dataclass(frozen=True)
class Within:
    """rnet's median shall be at least this share of its median in another row."""

    share: float
    key: str
    title: str

    def met(self, row, rows):
        """Whether it is."""
        other = next((one for one in rows if one.key == self.key), None)
        if row.ours is None or other is None or not other.ours:
            return None
        return row.ours >= self.share * other.ours

    def __str__(self):
        return f"≥{self.share:g} of {self.title}"


@dataclass(frozen=True)
class Either:
    """One of the two is enough."""

    first: object
    second: object

    def met(self, row, rows):
        """Whether one is met."""
        met = [self.first.met(row, rows), self.second.met(row, rows)]
        return True if True in met else None if None in met else False

    def __str__(self):
        return f"{self.first} or {self.second}"


def at_most(bound):
    """A bound from above."""
    return Bound("<=", bound)


def at_least(bound):
    """A bound from below."""
    return Bound(">=", bound)


def _sign(relation):
    return "≥" if relation == ">=" else "≤"
