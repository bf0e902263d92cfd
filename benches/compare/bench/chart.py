"""A bar chart of how rnet compares, as SVG. Each bar is an advantage: above 1 rnet is better, whichever direction is better."""

from html import escape
from math import log2

COLORS = ["#2b6cb0", "#dd6b20", "#718096", "#38a169", "#805ad5"]
LEFT, WIDTH, BAR, GAP = 370, 460, 9, 8
# The scale is logarithmic, from a sixteenth to sixteen times.
DOUBLINGS = 4


def svg(rows, peers, about):
    """The whole picture; of several builds of a peer the best in each row counts."""
    drawn = [row for row in rows if any(row.ratio(row.best(peer)) for peer in peers)]
    parts, top = [], 62
    for row in drawn:
        height = BAR * len(peers)
        parts.append(_text(LEFT - 8, top + height / 2 + 4, row.metric.title, "end"))
        for number, peer in enumerate(peers):
            parts += _bar(row, peer, top + number * BAR, COLORS[number % len(COLORS)])
        top += height + GAP
    subtitle = f"{about['kernel']}, {about['cores']} cores, {about['rounds']} rounds; bars to the right: rnet is better"
    head = [_text(12, 20, "rnet compared with its peers (ratios of medians, logarithmic)", size=15), _text(12, 38, subtitle)]
    for number, peer in enumerate(peers):
        x = LEFT + number * 130
        head += [f'<rect x="{x}" y="45" width="10" height="10" fill="{COLORS[number % len(COLORS)]}"/>', _text(x + 14, 54, f"to {_title(peer)}")]
    grid = [_line(factor, top) for factor in range(-DOUBLINGS, DOUBLINGS + 1)]
    size = f'width="{LEFT + WIDTH + 70}" height="{top + 24}"'
    style = '<style>text{font-family:sans-serif}</style><rect width="100%" height="100%" fill="white"/>'
    body = "\n".join([style, *grid, *head, *parts])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{body}\n</svg>\n'


def _x(doublings):
    bounded = max(-DOUBLINGS, min(DOUBLINGS, doublings))
    return LEFT + WIDTH * (bounded + DOUBLINGS) / (2 * DOUBLINGS)


def _bar(row, peer, y, color):
    ratio = row.ratio(row.best(peer))
    if not ratio:
        # Nothing to draw: no figure, or none at all of what less is better of.
        return []
    advantage = ratio if row.metric.more_is_better else 1 / ratio
    middle, end = _x(0), _x(log2(advantage))
    x, width = min(middle, end), max(abs(end - middle), 1)
    words = f"{advantage:.2f}×" if advantage < 10 else f"{advantage:.0f}×"
    # The longest bars to the left end where the titles do: their words stand on the other side of the middle.
    place = middle + 3 if end < LEFT + 30 else end + 3 if end >= middle else end - 3
    beside = _text(place, y + 8, words, "start" if place > middle else "end", 8)
    title = f"<title>{escape(row.metric.title)}: {words} to {escape(_title(peer))}</title>"
    return [f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR - 1}" fill="{color}">{title}</rect>', beside]


def _title(peer):
    return "the best pasta" if peer == "pasta" else peer


def _line(doublings, bottom):
    x, factor = _x(doublings), 2.0**doublings
    label = f"{factor:g}×" if factor >= 1 else f"1/{1 / factor:g}"
    color = "#333" if doublings == 0 else "#ddd"
    return f'<line x1="{x:.1f}" y1="60" x2="{x:.1f}" y2="{bottom}" stroke="{color}"/>' + _text(x, bottom + 14, label, "middle")


def _text(x, y, words, anchor="start", size=11):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'
