"""RESULTS.md: the latest full run, kept beside the program."""

import re
from pathlib import Path

from . import chart, table

HERE = Path(__file__).resolve().parents[1]
# What people write below this line stays when the file is written anew.
MARK = "<!-- below this line nothing is generated -->"


def write(rows, names, about):
    """Writes RESULTS.md and its chart; keeps the remarks."""
    path = HERE / "RESULTS.md"
    remarks = path.read_text().partition(MARK)[2] if path.exists() else "\n\n## Remarks\n\nNone yet.\n"
    versions = "\n".join(f"- {name}: {version}" for name, version in about["versions"].items())
    notes = "\n".join(f"- {note}" for note in table.notes(rows, names, about))
    kind = "quick, " if about["quick"] else ""
    part = f", rows {about['rows']}" if about["rows"] else ""
    text = f"""# Results

{about['date']}, rnet {about['commit']}; {kind}{about['rounds']} rounds of {about['seconds']:g} s{part}.
{about['processor']}, {about['cores']} cores, {about['memory_gib']} GiB; {about['system']}, Linux {about['kernel']}; load average before: {about['load_before']:.1f}.

{versions}

Medians. Only ratios within this table mean anything: all contenders were up at once and were measured in turn.

{table.markdown(rows, names)}

{notes}

![ratios](ratios.svg)

{MARK}"""
    path.write_text(re.sub(r"[ \t]+\n", "\n", text) + remarks)
    (HERE / "ratios.svg").write_text(chart.svg(rows, names, about))
    print(f"written: {path}, ratios.svg beside it")
