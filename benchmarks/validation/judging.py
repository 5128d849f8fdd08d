"""What the rows of a validation say: z-scores of moments."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.validation.command import REFERENCE

MOMENTS = ("mean", "sd")
# What the issue of these pages asks for.
MAX_Z, MAX_RMS = 4.0, 1.2


class Moments(NamedTuple):
    """The z-scores of one kind of moment on one posterior, all scalars and seeds: how large, and how many."""

    rms: float
    furthest: float
    count: int


def z_scores(rows: Sequence[dict], moment: str, model: str | None = None) -> list[float]:
    """Collect distances from the reference, in standard errors of both; of all posteriors, or of one."""
    return [
        distance[moment]
        for row in rows
        if row["cell"] == REFERENCE and model in (None, row["model"])
        for distance in row["measurement"]["distances"].values()
    ]


def moments(z: Sequence[float]) -> Moments:
    """Sum z-scores up."""
    return Moments(math.sqrt(sum(each**2 for each in z) / len(z)), max(z, key=abs), len(z))


def misses(rows: Sequence[dict]) -> list[str]:
    """Say what falls short: moments too far from their references."""
    short = []
    for moment in MOMENTS:
        if not (z := z_scores(rows, moment)):
            short.append(f"no {moment} was compared with a reference")
            continue
        every = moments(z)
        if abs(every.furthest) > MAX_Z:
            short.append(f"a {moment} is {every.furthest:.1f} standard errors off, the limit is {MAX_Z:g}")
        if every.rms > MAX_RMS:
            short.append(f"the rms of the z-scores of {moment}s is {every.rms:.2f}, the limit {MAX_RMS:g}")
    return short
