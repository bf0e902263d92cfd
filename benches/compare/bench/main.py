"""Options, checks, the run, the reports."""

import os
import sys
from dataclasses import dataclass

from . import cli, machine, needs, report, rows, schedule
from .bed import Bed
from .choose import contenders
from .instance import Instances
from .isolate import isolated
from .measure import everything


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    seconds: float
    rounds: int
    quick: bool


def main(typed):
    """The program; its exit code."""
    options = cli.parse(typed)
    chosen = [one for one in everything() if not options.rows or options.rows.search(one.key)]
    if options.quick:
        chosen = [one for one in chosen if one.in_quick]
    if not chosen:
        print(f"compare: no row of this kind of run matches {options.rows.pattern!r} (see --list)", file=sys.stderr)
        return 2
    if options.list:
        for measurement in chosen:
            print(f"{measurement.key:16}{'; '.join(metric.title for metric in measurement.metrics)}")
        return 0
    try:
        for lack in needs.check(options):
            print(f"compare: {lack} (--install gets it)", file=sys.stderr)
        load, rnet = needs.build(options)
    except needs.Missing as missing:
        print(f"compare: {missing}", file=sys.stderr)
        return 2
    options.output = options.output.resolve()
    return isolated(lambda directory: run(options, chosen, directory, load, rnet, typed))


def run(options, chosen, directory, load, rnet, typed):
    """Within the isolation: measures and reports."""
    os.chdir("/")
    settings = Settings(options.seconds, options.rounds, options.quick)
    who = contenders(options, rnet, directory / "programs")
    about = machine.describe(who, settings, options, typed)
    bed = Bed(directory, load, options.output / "profiles" if options.profile else None)
    samples = schedule.run(chosen, who, Instances(bed), settings)
    found = rows.rows(chosen, who, samples)
    report.write(found, who, about, options)
    return 1 if report.is_incomplete(found, who) else 0
