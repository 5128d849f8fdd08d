"""How far the ranks of a scalar stray from uniform ones, drawn as SVG with the band that holds all of them."""

import html
from collections.abc import Iterable

import numpy as np

from nutmill.many.rank_bands import bands

_WIDTH, _HEIGHT, _ROOM = 220, 100, 26
_COLOUR = "#3b7dd8"
LEVEL = 0.95


def strayed(title: str, counts: np.ndarray) -> str:
    """Draw the share of ranks up to each one, less what it should be."""
    n, n_ranks = int(counts.sum()), len(counts) - 1
    expected = np.arange(1, n_ranks + 1) / (n_ranks + 1)
    within = bands(n, n_ranks, LEVEL)
    low, high, found = (each / n - expected for each in (within.low, within.high, np.cumsum(counts)[:-1]))
    furthest = 1.1 * max(np.abs(each).max() for each in (low, high, found))

    def points(values: Iterable[float], places: Iterable[float]) -> str:
        up = _HEIGHT / 2
        return " ".join(f"{_WIDTH * x:.1f},{up - up * y / furthest:.1f}" for x, y in zip(places, values, strict=True))

    band = points([*low, *high[::-1]], [*expected, *expected[::-1]])
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + _ROOM}" style="max-width: 14rem" role="img">'
        f'<polygon points="{band}" fill="currentColor" fill-opacity="0.12"/>'
        f'<polyline points="{points(found, expected)}" fill="none" stroke="{_COLOUR}" stroke-width="1.5"/>'
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT + 18}" text-anchor="middle">{html.escape(title)}</text></svg>'
    )
