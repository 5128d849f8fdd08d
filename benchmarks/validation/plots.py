"""A Q-Q plot, drawn as SVG."""

import html
from collections.abc import Sequence

import numpy as np
from scipy import stats

_SIZE, _EDGE = 420, 40
_COLOUR = "#3b7dd8"


def quantiles(z: Sequence[float]) -> str:
    """Draw the sorted z-scores over the quantiles of a standard normal distribution, which they should equal."""
    drawn = np.sort(z)
    expected = stats.norm.ppf((np.arange(len(drawn)) + 0.5) / len(drawn))
    limit = 1.1 * max(abs(drawn).max(), abs(expected).max())

    def at(value: float) -> float:
        return _EDGE + (value + limit) / (2.0 * limit) * (_SIZE - 2 * _EDGE)

    def mark(x: float, y: float) -> str:
        return f'<circle cx="{at(x):.1f}" cy="{_SIZE - at(y):.1f}" r="2.5" fill="{_COLOUR}" fill-opacity="0.6"/>'

    ticks = [value for value in range(-int(limit), int(limit) + 1) if value % 2 == 0]
    axis = [_text(at(value), _SIZE - 12, f"{value}") + _text(18, _SIZE - at(value) + 4, f"{value}") for value in ticks]
    line = (
        f'<line x1="{at(-limit):.1f}" y1="{_SIZE - at(-limit):.1f}" x2="{at(limit):.1f}" '
        f'y2="{_SIZE - at(limit):.1f}" stroke="currentColor" stroke-opacity="0.4"/>'
    )
    points = "".join(mark(x, y) for x, y in zip(expected, drawn, strict=True))
    return f'<svg viewBox="0 0 {_SIZE} {_SIZE}" style="max-width: 26rem" role="img">{line}{points}{"".join(axis)}</svg>'


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{html.escape(text)}</text>'
