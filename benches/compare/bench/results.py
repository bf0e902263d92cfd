"""RESULTS.md: the latest full run, kept beside the program."""

import re
from pathlib import Path

from . import scale, table

HERE = Path(__file__).resolve().parents[1]
# What people write from this line on stays when the file is written anew.
MARK = "<!-- notes -->"
EMPTY = "\n\n## Notes\n\nNone yet.\n"


def write(rows, contenders, about, picture):
    """Writes RESULTS.md and its chart; keeps the notes."""
    path = HERE / "RESULTS.md"
    before = path.read_text() if path.exists() else ""
    kept = before.partition(MARK)[2] if MARK in before else EMPTY
    path.write_text(_generated(rows, contenders, about) + MARK + kept)
    (HERE / "ratios.svg").write_text(picture)
    print(f"written: {path}, ratios.svg beside it")


def _generated(rows, contenders, about):
    versions = "\n".join(f"- {name}: {version}" for name, version in about["versions"].items())
    notes = "\n".join(f"- {note}" for note in table.notes(rows, contenders, about))
    more = scale.lines(rows, contenders)
    threads = f"\n## {scale.TITLE[0].upper()}{scale.TITLE[1:]}\n\n{table.markdown(more)}\n" if more else ""
    text = f"""# Results

`{about['command']}`, {about['date']}, rnet {about['commit']}: {about['rounds']} rounds of {about['seconds']:g} s.
{about['processor']}, {about['cores']} cores, {about['memory_gib']} GiB; {about['system']}, Linux {about['kernel']}; load average before: {about['load_before']:.1f}.

{versions}

Medians. Only ratios within this table mean anything: all contenders were up at once and were measured in turn.

{table.markdown(table.lines(rows, table.Columns(contenders)))}
{threads}
{notes}

![ratios](ratios.svg)

The part above is written by `compare --write-results`; what follows is written by people.

"""
    return re.sub(r"[ \t]+\n", "\n", text)
