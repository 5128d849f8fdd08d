"""Ratios of many models at a glance, drawn as SVG: a dot a model, a column a peer, on a logarithmic scale."""

import html
import math
from collections.abc import Mapping, Sequence

from nutmill.comparison.tables import number

# A phone shows so many units at about the size of its own text.
_WIDTH, _LEFT, _TOP, _HEIGHT, _FOOT = 416, 44, 12, 250, 52
_RADIUS = 4.0

STYLE = """
.plots { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; }
.plots figure { margin: 0; flex: 1 1 20rem; max-width: 30rem; min-width: 0; }
.plots figcaption { font-weight: 600; }
.plots .note { color: var(--soft); font-size: 0.85rem; margin: 0.2rem 0 0; }
.better { fill: #3b7dd8; } .worse { fill: #d9603d; }
.dot { fill-opacity: 0.75; } .mean { stroke: var(--ink); stroke-width: 2; }
.even { stroke: var(--ink); stroke-dasharray: 4 3; } .grid { stroke: var(--rule); }
svg .soft { fill: var(--soft); }
"""


def dots(title: str, columns: Mapping[str, Mapping[str, float]]) -> str:
    """Draw ratios as a figure of HTML, with a sentence that names every model below 1.

    Parameters
    ----------
    columns
        By peer, how many times better each model is. A peer without models is left out.
    """
    known = {peer: ratios for peer, ratios in columns.items() if ratios}
    if not known:
        return f"<figure><figcaption>{html.escape(title)}</figcaption><p>Not measured.</p></figure>"
    every = [math.log10(ratio) for ratios in known.values() for ratio in ratios.values()]
    low, high = min(-0.1, *every) - 0.1, max(0.1, *every) + 0.1
    room = (_WIDTH - _LEFT) / len(known)
    drawn = [_scale(low, high)]
    for position, (peer, ratios) in enumerate(known.items()):
        drawn.append(_column(peer, ratios, _LEFT + room * (position + 0.5), (low, high)))
    return (
        f"<figure><figcaption>{html.escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_TOP + _HEIGHT + _FOOT}" role="img" aria-label="{html.escape(title)}">'
        f'{"".join(drawn)}</svg><p class="note">{html.escape(_below(known))}</p></figure>'
    )


def _below(columns: Mapping[str, Mapping[str, float]]) -> str:
    told = [
        f"{model} {number(ratio)} ({peer})"
        for peer, ratios in columns.items()
        for model, ratio in sorted(ratios.items(), key=lambda each: each[1])
        if ratio < 1.0
    ]
    return f"Below 1: {', '.join(told)}." if told else "No model is below 1."


def _scale(low: float, high: float) -> str:
    """Draw a line and its number for each step of the scale; that of a tie is dashed."""
    steps = (1, 10, 100, 1000, 10_000) if high - low > 1.5 else (0.2, 0.5, 1, 2, 5, 10, 20)
    lines = []
    for step in steps:
        if low <= math.log10(step) <= high:
            y, kind = _y(math.log10(step), low, high), "even" if step == 1 else "grid"
            lines.append(f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
            lines.append(f'<text class="soft" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{step:g}</text>')
    return "".join(lines)


def _column(peer: str, ratios: Mapping[str, float], centre: float, scale: tuple[float, float]) -> str:
    """Draw the models of one peer, their geometric mean as a bar, and both numbers under them."""
    ordered = sorted(ratios.items(), key=lambda each: each[1])
    heights = [_y(math.log10(ratio), *scale) for _, ratio in ordered]
    drawn = []
    for (model, ratio), y, aside in zip(ordered, heights, _asides(heights), strict=True):
        kind = "better" if ratio >= 1.0 else "worse"
        drawn.append(
            f'<circle class="dot {kind}" cx="{centre + aside:.1f}" cy="{y:.1f}" r="{_RADIUS}">'
            f"<title>{html.escape(model)}: {number(ratio)}</title></circle>"
        )
    mean = math.fsum(math.log10(ratio) for ratio in ratios.values()) / len(ratios)
    y = _y(mean, *scale)
    drawn.append(f'<line class="mean" x1="{centre - 18:.1f}" x2="{centre + 18:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
    name, _, kind = peer.partition("-")
    for line, text in enumerate((name, kind.replace("-", " "), f"x {number(10.0**mean)}")):
        foot = _TOP + _HEIGHT + 16 * (line + 1)
        drawn.append(f'<text x="{centre:.1f}" y="{foot}" text-anchor="middle">{html.escape(text)}</text>')
    return "".join(drawn)


def _asides(heights: Sequence[float]) -> list[float]:
    """Move dots that would cover each other to the sides, in turn."""
    asides: list[float] = []
    for position, height in enumerate(heights):
        taken = {asides[i] for i in range(position) if abs(heights[i] - height) < 2.0 * _RADIUS}
        places = [sign * 2.0 * _RADIUS * step for step in range(4) for sign in (1.0, -1.0)]
        asides.append(next((place for place in places if place not in taken), 0.0))
    return asides


def _y(log: float, low: float, high: float) -> float:
    return _TOP + _HEIGHT * (high - log) / (high - low)
