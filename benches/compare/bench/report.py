"""Prints the table and writes JSON, a chart and RESULTS.md."""

import json

from . import chart, results, scale, table


def is_incomplete(all_rows, contenders):
    """Whether rnet has no figure where it should have one."""
    ours = [one.name for one in contenders if one.group is None]
    return any(row.cells[name].reason and not row.cells[name].is_nature for row in all_rows for name in ours)


def write(all_rows, contenders, about, options):
    """Prints the table and writes the files."""
    columns = table.Columns(contenders)
    print(table.text(table.lines(all_rows, columns)))
    if more := scale.lines(all_rows, contenders):
        print("\n" + scale.TITLE + "\n" + table.text(more))
    print()
    for line in table.notes(all_rows, contenders, about):
        print(f"- {line}")
    options.output.mkdir(parents=True, exist_ok=True)
    document = {"about": about, "rows": [_json(row, all_rows) for row in all_rows]}
    (options.output / "results.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    picture = chart.svg(all_rows, columns.peers, about)
    (options.output / "ratios.svg").write_text(picture)
    print(f"\nwritten: {options.output}/results.json, ratios.svg")
    if options.write_results:
        results.write(all_rows, contenders, about, picture)


def _json(row, all_rows):
    return {
        "key": row.key,
        "title": row.metric.title,
        "unit": row.metric.unit,
        "more_is_better": row.metric.more_is_better,
        "goals": [{"goal": goal, "met": met} for goal, met in row.verdicts(all_rows)],
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
