"""What the rows of a validation say: z-scores of moments, and how uniform ranks are."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from benchmarks.validation.command import CALIBRATION, REFERENCE

MOMENTS = ("mean", "sd")
# What the issue of these pages asks for.
MAX_Z, MAX_RMS = 4.0, 1.2
BINS = 16


class Moments(NamedTuple):
    """The z-scores of one kind of moment on one posterior, all scalars and seeds: how large, and how many."""

    rms: float
    furthest: float
    count: int


class Uniformity(NamedTuple):
    """How often ranks fell into each of even bins, and the p-value of as uneven a histogram among uniform ranks."""

    counts: tuple[int, ...]
    p_value: float


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


def uniformity(ranks: Sequence[int], n_ranks: int) -> Uniformity:
    """Judge ranks from 0 to `n_ranks` by a chi-squared test on even bins."""
    counts = np.bincount(np.asarray(ranks) * BINS // (n_ranks + 1), minlength=BINS)
    return Uniformity(tuple(int(count) for count in counts), float(stats.chisquare(counts).pvalue))


def calibrations(rows: Sequence[dict]) -> dict[str, Uniformity]:
    """Judge every scalar of every experiment, called as `experiment: scalar`."""
    return {
        f"{row['model']}: {scalar}": uniformity(ranks, row["measurement"]["n_ranks"])
        for row in rows
        if row["cell"] == CALIBRATION
        for scalar, ranks in row["measurement"]["ranks"].items()
    }


def misses(rows: Sequence[dict]) -> list[str]:
    """Say what falls short: moments too far from their references, ranks that are surely not uniform."""
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
    found = calibrations(rows)
    # Among so many scalars one this uneven comes up once in a hundred pages.
    short += [f"the ranks of {name} are uneven" for name, each in found.items() if each.p_value < 0.01 / len(found)]
    return short
