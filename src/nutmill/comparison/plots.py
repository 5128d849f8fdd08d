"""Bars with names and numbers, drawn as SVG."""

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

from nutmill.comparison.comparison import number

_COLOURS = ("#9aa5b1", "#d9903d", "#3b7dd8")
_ROW, _LEFT, _WIDTH, _ROOM = 26, 150, 800, 60


class Bar(NamedTuple):
    """A name, and the parts of its bar: what each is, and how long."""

    name: str
    parts: tuple[tuple[str, float], ...]

    @property
    def length(self) -> float:
        """Of all parts together; NaN if one was not measured."""
        return sum(length for _, length in self.parts)


def bars(chart: Sequence[Bar], *, most_is_best: bool = False) -> str:
    """Draw bars, the best on top; one that was not measured is left out. Parts have a legend if there are several."""
    known = sorted((bar for bar in chart if math.isfinite(bar.length)), key=lambda bar: bar.length)
    if not known:
        return "<p>Not measured.</p>"
    known = known[::-1] if most_is_best else known
    scale = (_WIDTH - _LEFT - _ROOM) / max(bar.length for bar in known)
    drawn = [_bar(bar, row * _ROW, scale) for row, bar in enumerate(known)]
    legend = _legend(known[0], len(known) * _ROW) if len(known[0].parts) > 1 else ""
    height = len(known) * _ROW + (_ROW if legend else 0)
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">{"".join(drawn)}{legend}</svg>'


def _bar(bar: Bar, top: float, scale: float) -> str:
    drawn, left = [_text(_LEFT - 8, top, bar.name, anchor="end")], float(_LEFT)
    for colour, (kind, length) in zip(_colours(bar), bar.parts, strict=True):
        width = max(length, 0.0) * scale
        drawn.append(
            f'<rect x="{left:.1f}" y="{top + 4}" width="{width:.1f}" height="{_ROW - 8}" fill="{colour}">'
            f"<title>{html.escape(kind)}: {number(length)}</title></rect>"
        )
        left += width
    return "".join([*drawn, _text(left + 6, top, number(bar.length))])


def _legend(bar: Bar, top: float) -> str:
    drawn, left = [], float(_LEFT)
    for colour, (kind, _) in zip(_colours(bar), bar.parts, strict=True):
        drawn.append(f'<rect x="{left}" y="{top + 8}" width="10" height="10" fill="{colour}"/>')
        drawn.append(_text(left + 15, top, kind))
        left += 30 + 7 * len(kind)
    return "".join(drawn)


def _colours(bar: Bar) -> tuple[str, ...]:
    return _COLOURS[-len(bar.parts) :]


def _text(x: float, top: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{top + _ROW / 2 + 4:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'
