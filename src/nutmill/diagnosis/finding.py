"""One thing that a user should know about draws, and the words that findings share."""

from typing import NamedTuple

import numpy as np
import xarray as xr

N_NAMED = 3


class Finding(NamedTuple):
    """One thing that the user should know about the draws."""

    # note, divergences, tree_depth, too_few, bfmi, lp, not_finite, rhat, ess, tail_ess, no_mean, groups, sampled
    kind: str
    message: str  # one or two sentences: what was seen, and what to do
    variables: tuple[str, ...] = ()  # the worst ones first, as "theta[Choate]"


def chains_named(stats: xr.Dataset, chosen: np.ndarray) -> str:
    """Name the chains where `chosen` (n_chains,) is true: "chains 1, 3"."""
    return chains_in_words(stats["chain"].values[chosen])


def chains_in_words(numbers: np.ndarray) -> str:
    """Name chains by their numbers: "chains 1, 3"."""
    return f"chain{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers.tolist()))}"


def first_of(names: list[str] | tuple[str, ...] | np.ndarray) -> str:
    """Name the first few, and tell how many follow."""
    rest = len(names) - N_NAMED
    return ", ".join(names[:N_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def worst_of(
    labels: np.ndarray, values: np.ndarray, bad: np.ndarray, form: str, *, least: bool = False
) -> tuple[str, tuple[str, ...]]:
    """Tell the worst scalars where `bad` (n,) is true, and name all of them.

    `form` says how to write a label with its value, as "{} {:.3f}"; with `least` small values are the worse ones.
    """
    order = np.argsort(values if least else -values, kind="stable")
    order = order[bad[order]]
    return first_of([form.format(labels[i], values[i]) for i in order]), tuple(labels[order])


def count_of(n: int, noun: str) -> str:
    """Say "1 draw" or "2 draws"."""
    return f"{n} {noun}{'s' * (n != 1)}"
