"""The scalars of a posterior side by side, each with its name, and how their chains mix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from nutmill.native.convergence import MIN_DRAWS, mixing_of
from nutmill.native.processor import target

# R-hat and ESS of so many take 1 to 2 CPU seconds for 4000 draws each (`python -m benchmarks.diagnostics`).
MAX_PARAMETERS = 10_000


class Named(NamedTuple):
    """How the chains mix: one entry for each scalar that is finite and moves."""

    labels: np.ndarray  # (n,) object: as "theta[Choate]"
    # (n,) float64: as in `native.convergence.Mixing`.
    rhat: np.ndarray
    ess_bulk: np.ndarray
    ess_tail: np.ndarray


class Scalars(NamedTuple):
    """Scalars side by side."""

    columns: np.ndarray  # (n_chains, n_draws, n) float64
    labels: np.ndarray  # (n,) object
    n_all: int  # how many there are in all; only a part of many is looked at

    def chosen(self, kept: np.ndarray) -> Scalars:
        """Keep the scalars where `kept` (n,) is true; where it always is, without a copy."""
        return self if kept.all() else self._replace(columns=self.columns[..., kept], labels=self.labels[kept])

    def first(self, n: int) -> Scalars:
        """Keep so many."""
        return self._replace(columns=self.columns[..., :n], labels=self.labels[:n])


class ScalarFacts(NamedTuple):
    """All that diagnostics of single scalars need, computed once."""

    scalars: Scalars
    is_finite: np.ndarray  # (n,) bool
    # Those that are finite and change. What never changes in any chain (the diagonal of a correlation matrix) has no
    # R-hat, and needs none.
    moving: Scalars
    mixed: Named | None  # how those that move mix; None if there are fewer than `MIN_DRAWS` draws a chain
    address: int | None  # of the kernel's `mixing`, where it was needed


def scalar_facts(posterior: xr.Dataset, names: Sequence[str] | None = None, address: int | None = None) -> ScalarFacts:
    """Look at the scalars of some variables, by default all: at a part of more than `MAX_PARAMETERS`.

    `address` is that of the kernel's `mixing`; None looks for a kernel if one is needed.
    """
    scalars = scalars_of(posterior, [str(name) for name in posterior] if names is None else names)
    least = scalars.columns.min(axis=(0, 1), initial=np.inf)
    most = scalars.columns.max(axis=(0, 1), initial=-np.inf)
    is_finite = np.isfinite(least) & np.isfinite(most)
    moving = scalars.chosen(is_finite & (most > least))
    if posterior.sizes["draw"] < MIN_DRAWS:
        return ScalarFacts(scalars, is_finite, moving, None, address)
    address = _kernel_mixing() if address is None else address
    mixed = Named(moving.labels, *mixing_of(address, moving.columns))
    return ScalarFacts(scalars, is_finite, moving, mixed, address)


def _kernel_mixing() -> int:
    """Return the address of the kernel's `mixing`, compiling the kernel where there is none."""
    from nutmill.model.lowering.kernel import kernel_object  # reads all sources, which a compiled model does without

    return kernel_object(target()).address("mixing")


def scalars_of(posterior: xr.Dataset, names: Sequence[str], most: int | None = None) -> Scalars:
    """Put the scalars of some variables side by side, at most so many of them; by default `MAX_PARAMETERS`.

    Small variables are taken whole, because hyperparameters are where chains disagree; of the large ones an
    equal number of scalars, evenly spaced, fills the rest.
    """
    numbers = (posterior[name] for name in names if posterior[name].dtype != bool)
    variables = sorted(numbers, key=lambda variable: variable.size)
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    columns, labels, n_all, room = [np.empty((*shape, 0))], [], 0, MAX_PARAMETERS if most is None else most
    for position, variable in enumerate(variables):
        n_scalars = math.prod(variable.shape[2:])
        flat = variable.values.reshape(*shape, n_scalars)
        n_taken = min(n_scalars, room // (len(variables) - position))
        taken = np.arange(n_taken) * n_scalars // max(n_taken, 1)
        columns.append(flat if n_taken == n_scalars else flat[..., taken])
        labels += _labels(variable, taken)
        n_all += n_scalars
        room -= n_taken
    return Scalars(np.concatenate(columns, axis=-1), np.array(labels, dtype=object), n_all)


def _labels(variable: xr.DataArray, taken: np.ndarray) -> list[str]:
    """Name elements by their number among all elements of a variable."""
    shape, dims = variable.shape[2:], variable.dims[2:]
    if not shape:
        return [str(variable.name)] * len(taken)
    places = zip(dims, np.unravel_index(taken, shape), strict=True)
    coordinates = [variable[dim].values[index] for dim, index in places]
    return [f"{variable.name}[{', '.join(map(str, at))}]" for at in zip(*coordinates, strict=True)]
