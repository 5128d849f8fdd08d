"""Where chains start: jittered support points or given values, until density and gradient are finite."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nutmill.errors import ModelError
from nutmill.native.binding import Binding

MAX_TRIES = 500


class Start(NamedTuple):
    """One chain's start on the unconstrained scale, before jitter.

    Attributes
    ----------
    position : (n_dim,) float64
    given : (n_dim,) bool
        Values that the user gave; they are not jittered.
    """

    position: np.ndarray
    given: np.ndarray


def find_start(binding: Binding, start: Start, seed: int, chain: int, *, jitter: bool) -> np.ndarray | int:
    """Jitter a start by U(-1, 1) until density and gradient are finite.

    Returns
    -------
    (n_dim,) float64, or the status of the last of `MAX_TRIES` tries
    """
    # The sampler's own stream has the spawn key (chain,); this one must not repeat it.
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(chain, 1)))
    moved = jitter & ~start.given
    status = 0
    for _ in range(MAX_TRIES if moved.any() else 1):
        position = start.position + np.where(moved, rng.uniform(-1.0, 1.0, len(moved)), 0.0)
        status, lp, gradient = binding.density(position)
        if status == 0 and np.isfinite(lp) and np.isfinite(gradient).all():
            return position
    return status


def flatten(values: Sequence[np.ndarray], names: Sequence[str], given: Mapping[str, object]) -> Start:
    """Lay initial values of all parameters side by side.

    Raises
    ------
    ModelError
        If a value that the user gave lies outside the support of its variable.
    """
    for name, value in zip(names, values, strict=True):
        if name in given and not np.isfinite(value).all():
            raise ModelError(
                f"The initval of {given[name]} lies outside its support: {name} would be "
                f"{np.ravel(value)[:3]}. Choose a value strictly inside."
            )
    sizes = [np.size(value) for value in values]
    position = np.concatenate([np.ravel(value).astype(np.float64) for value in values])
    is_given = np.repeat([name in given for name in names], sizes)
    return Start(position, is_given)


def failure(
    told: str | None, names: Sequence[str], shapes: Sequence[tuple[int, ...]], gradient: np.ndarray, terms: Mapping
) -> str:
    """Say why no start was found: a line for each term and each gradient that is not finite, what a status means."""
    lines = [f"  {name:<30} log density {value}" for name, value in terms.items()]
    first = 0
    for name, shape in zip(names, shapes, strict=True):
        size = int(np.prod(shape))
        bad = np.flatnonzero(~np.isfinite(gradient[first : first + size]))
        first += size
        if len(bad):
            index = tuple(int(i) for i in np.unravel_index(bad[0], shape))
            where = f" in {len(bad)} of {size} values, first {index}" if shape else ""
            lines.append(f"  {name:<30} gradient not finite{where}")
    if told:
        lines.append(f"  status: {told}")
    return "\n".join(lines)
