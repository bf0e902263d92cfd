"""What is measured: metrics (rows of the table), and the base of all measurements."""

from dataclasses import dataclass

from .load import Failed


@dataclass(frozen=True)
class Metric:
    """One row: a figure, its unit, and which direction is better."""

    key: str
    title: str
    unit: str
    more_is_better: bool = True
    goals: tuple = ()


@dataclass
class Measurement:
    """One thing that is done to each contender in turn, and gives one or more figures."""

    key: str
    metrics: list

    # No more rounds than this, however many are asked for.
    most_rounds = 1000
    # Whether a quick run has time for it.
    in_quick = True

    def duration(self, settings):
        """How long it takes with one contender, about."""
        return settings.seconds + 0.3

    def run(self, contender, instances, settings):
        """The figures by metric key, of one contender; a figure may also be a `load.Failed`, and the key "remark" a `load.Remark`.

        Raises `load.Failed`, or `load.Cannot`.
        """
        raise NotImplementedError

    def run_all(self, contenders, instances, settings, progress):
        """The figures, or the `Failed`, of each contender by name. One after the other unless overridden."""
        results = {}
        for contender in contenders:
            progress(contender.name)
            try:
                results[contender.name] = self.run(contender, instances, settings)
            except Failed as error:
                results[contender.name] = error
            instances.after(contender, results[contender.name])
        return results


