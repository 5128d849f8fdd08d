"""What the user asked for: checked before anything is compiled, so that a wrong argument costs no time."""

import os
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

from nutmill.errors import ModelError
from nutmill.layout.pools import Layout

# What may be asked of the result beside posterior and statistics.
_RESULT_OPTIONS = {"log_likelihood": False, "include_transformed": False, "divergences": False}


class Request(NamedTuple):
    """What the user asked for, checked; see `sample_numba` for the meaning of each field."""

    draws: int
    tune: int | None
    chains: int
    cores: int | None
    layout: object
    target_accept: float
    max_treedepth: int
    seed: int
    initvals: Mapping | Sequence | None
    jitter: bool
    keep_warmup: bool
    progressbar: bool
    check: bool
    result: Mapping[str, bool]


def checked_request(
    *,
    draws=1000,
    tune=None,
    chains=4,
    cores=None,
    layout="auto",
    target_accept=0.8,
    max_treedepth=10,
    random_seed=None,
    initvals=None,
    jitter=True,
    metric="auto",
    discard_tuned_samples=True,
    progressbar=True,
    compute_convergence_checks=True,
    idata_kwargs=None,
) -> Request:
    """Check the arguments of `sample_numba`; raises ModelError with one sentence for the first that is wrong."""
    unknown = set(idata_kwargs or {}) - set(_RESULT_OPTIONS)
    if unknown:
        raise ModelError(
            f"idata_kwargs has no option {', '.join(sorted(unknown))}; it has {', '.join(_RESULT_OPTIONS)}."
        )
    if metric not in ("auto", "diag"):
        raise ModelError(f'metric must be "auto" or "diag", not {metric!r}.')
    if not isinstance(target_accept, Real) or not 0.0 < target_accept < 1.0:
        raise ModelError(f"target_accept must lie between 0 and 1, not {target_accept!r}.")
    return Request(
        draws=_count("draws", draws, 1),
        tune=None if tune is None else _count("tune", tune, 0),
        chains=_count("chains", chains, 1),
        cores=None if cores is None else _count("cores", cores, 1),
        layout=_layout(layout),
        target_accept=float(target_accept),
        max_treedepth=_count("max_treedepth", max_treedepth, 1, 20),
        seed=_seed(random_seed),
        initvals=initvals,
        jitter=jitter,
        keep_warmup=not discard_tuned_samples,
        progressbar=progressbar,
        check=compute_convergence_checks,
        result=_RESULT_OPTIONS | dict(idata_kwargs or {}),
    )


def _count(name: str, value, least: int, most: int | None = None) -> int:
    is_count = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_count or value < least or (most is not None and value > most):
        limits = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ModelError(f"{name} must be a whole number, {limits}, not {value!r}.")
    return int(value)


def _seed(random_seed) -> int:
    if isinstance(random_seed, np.random.Generator):
        return int(random_seed.integers(2**63))
    if isinstance(random_seed, int | np.integer) and random_seed >= 0:
        return int(random_seed)
    if random_seed is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    try:
        return int(np.random.SeedSequence(random_seed).generate_state(1, np.uint64)[0])
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"random_seed must be a non-negative integer, a sequence of them or a Generator, not {random_seed!r}."
        ) from error


def _layout(layout):
    if layout is None or isinstance(layout, Layout | str | os.PathLike):
        return layout
    raise ModelError(f'layout must be "auto", a Layout, the path of a layout profile, or None, not {layout!r}.')
