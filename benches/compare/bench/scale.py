"""What more threads bring: a table of its own, of the rows that rnet with `--threads` takes part in."""

import re

from .table import cell_text, goals_text, ratio_text

TITLE = "rnet with more threads"
# What two medians of the same may differ by: "never lower" means not lower than this.
NOISE = 0.95
# TCP out on two threads, to the best pasta's one.
AHEAD = 1.2


def lines(rows, contenders):
    """Header and rows; nothing if there is no variant."""
    variants = [one for one in contenders if getattr(one, "threads", 1) > 1]
    if not variants:
        return []
    names = [one.name for one in variants]
    found = [["", "unit", "1 thread", *(f"{one.threads} threads" for one in variants), *_ratios(variants), "best pasta", "goals"]]
    for row in rows:
        if not any(row.cells[name].values or row.cells[name].reason for name in names):
            continue
        unit = row.metric.unit if row.metric.more_is_better else f"{row.metric.unit} ↓"
        cells = [cell_text(row.cells[name]) for name in ("rnet", *names)]
        to_one = [ratio_text(row.ratio("rnet", name)) for name in names]
        pasta = row.best("pasta")
        to_pasta = [ratio_text(row.ratio(pasta, name)) for name in names]
        best = cell_text(row.cells[pasta]) if pasta else "–"
        found.append([row.metric.title, unit, *cells, *to_one, *to_pasta, best, goals_text(_verdicts(row, variants, rows))])
    return found


def _ratios(variants):
    return [f"{one.threads}/1" for one in variants] + [f"{one.threads}/pasta" for one in variants]


def _verdicts(row, variants, rows):
    found = []
    if row.metric.more_is_better and row.key != "memory.most":
        for before, one in zip(["rnet", *(one.name for one in variants)], variants):
            ratio = row.ratio(before, one.name)
            found.append((f"{one.threads}: never lower (≥{NOISE:g})", None if ratio is None else ratio >= NOISE))
    if re.match(r"tcp-out-(4|16)\.gbit", row.key):
        ratio = row.ratio(row.best("pasta"), variants[0].name)
        found.append((f"{variants[0].threads}: ≥{AHEAD:g} pasta", None if ratio is None else ratio >= AHEAD))
    if row.key.startswith("memory."):
        found += [(f"{one.threads}: {goal}", goal.met(row.of(one.name), rows)) for one in variants for goal in row.metric.goals]
    return found
