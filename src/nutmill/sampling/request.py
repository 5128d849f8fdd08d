"""What the user asked for: checked before anything is compiled, so that a wrong argument costs no time."""

import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nutmill.errors import ArgumentError, path_of
from nutmill.layout.layout import Layout
from nutmill.nuts.group_size import GROUP_SIZE, whole_groups
from nutmill.run.adaptation import AdaptationState
from nutmill.run.ending import Limits, checked_limits
from nutmill.run.run import Settings
from nutmill.sampling.steering import Callback

# What a seed may be.
Seed = int | np.integer | Sequence[int] | np.ndarray | np.random.Generator | np.random.SeedSequence | None

# What the draws depend on, as `sample_numba` takes it, beside the model and the seed.
_OF_DRAWS = ("draws", "tune", "chains", "target_accept", "max_treedepth", "metric", "centring", "starts", "chain_ids")
# What may be asked of the result beside posterior and statistics.
_RESULT_OPTIONS = {"log_likelihood": False, "include_transformed": False, "divergences": False}
# Beyond this it is a slip of the keyboard; a list of so many chains is still made at once.
_MOST_CHAINS = 1_000_000


class Request(NamedTuple):
    """What the user asked for, checked; see `sample_numba` for the meaning of each field."""

    draws: int
    tune: int | None
    chains: int
    cores: int | None
    layout: Layout | str | os.PathLike | None
    target_accept: float
    metric: str
    centring: str
    max_treedepth: int
    seed: int
    initvals: Mapping | Sequence | None
    jitter: bool
    starts: str
    keep_warmup: bool
    progressbar: bool
    check: bool
    result: Mapping[str, bool]
    checkpoint: Path | None
    every: float
    chain_ids: list[int]
    max_time: float | None
    until: Mapping[str, float] | None
    limits: Limits
    adaptation_state: AdaptationState | None
    executor: Executor | None
    callback: Callback | None
    blocking: bool

    @property
    def settings(self) -> Settings:
        """The driver's part of it."""
        return Settings(
            draws=self.draws,
            tune=self.tune,
            target_accept=self.target_accept,
            metric=self.metric,
            centring=self.centring,
            max_treedepth=self.max_treedepth,
            keep_warmup=self.keep_warmup,
            keep_divergences=self.result["divergences"],
        )

    def as_json(self) -> dict[str, Any]:
        """Give what the draws depend on beside the model, and what of them is reported; `request_from` reads it."""
        return {name: getattr(self, name) for name in _OF_DRAWS} | {
            "random_seed": str(self.seed),
            "discard_tuned_samples": not self.keep_warmup,
            "idata_kwargs": dict(self.result),
            "until": None if self.until is None else dict(self.until),
        }


def request_from(said: Mapping[str, Any], **changes) -> Request:
    """Rebuild a request from what `Request.as_json` gave, with some arguments of `sample_numba` changed."""
    return checked_request(**{**said, "random_seed": int(said["random_seed"]), **changes})


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
    starts="jitter",
    metric="auto",
    centring="auto",
    discard_tuned_samples=True,
    progressbar=True,
    compute_convergence_checks=True,
    idata_kwargs=None,
    checkpoint=None,
    every=60.0,
    chain_ids=None,
    max_time=None,
    until=None,
    adaptation_state=None,
    executor=None,
    callback=None,
    blocking=True,
) -> Request:
    """Check the arguments of `sample_numba`; raises ArgumentError with one sentence for the first that is wrong."""
    if not isinstance(target_accept, Real) or not 0.0 < float(target_accept) < 1.0:
        raise ArgumentError(f"target_accept must lie between 0 and 1, not {target_accept!r}.")
    draws, chains = checked_count("draws", draws, 1), checked_count("chains", chains, 1, _MOST_CHAINS)
    chain_ids = _chain_ids(chain_ids, chains)
    _check_together(until, chain_ids, chains, executor)
    return Request(
        draws=draws,
        tune=None if tune is None else checked_count("tune", tune, 0),
        chains=chains,
        cores=None if cores is None else checked_count("cores", cores, 1),
        layout=_layout(layout),
        target_accept=float(target_accept),
        metric=_one_of("metric", metric, "auto", "diag"),
        centring=_one_of("centring", centring, "auto", "off"),
        max_treedepth=checked_count("max_treedepth", max_treedepth, 1, 20),
        seed=_seed(random_seed),
        initvals=initvals,
        jitter=_switch("jitter", jitter),
        starts=_one_of("starts", starts, "jitter", "prior"),
        keep_warmup=not _switch("discard_tuned_samples", discard_tuned_samples),
        progressbar=progressbar,
        check=_switch("compute_convergence_checks", compute_convergence_checks),
        result=_result_options(idata_kwargs),
        checkpoint=None if checkpoint is None else path_of(checkpoint, "checkpoint"),
        every=_seconds("every", every),
        chain_ids=chain_ids,
        max_time=max_time,
        until=until,
        limits=checked_limits(max_time, until, chains=chains, draws=draws),
        adaptation_state=_adaptation(adaptation_state),
        executor=_executor(executor),
        callback=_seen_by(callback),
        blocking=_switch("blocking", blocking),
    )


def _check_together(until, chain_ids: list[int], chains: int, executor) -> None:
    """Refuse `until` where not all chains are sampled in one process."""
    if not until:
        return
    if len(chain_ids) < chains:
        raise ArgumentError(
            "until judges all chains of a run together, and chain_ids names only some: leave one of both out."
        )
    if executor is not None:
        raise ArgumentError(
            "until judges all chains of a run together, and an executor samples groups apart: leave one of both out."
        )


def _switch(name: str, value) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ArgumentError(f"{name} must be True or False, not {value!r}.")
    return bool(value)


def _result_options(wanted) -> dict[str, bool]:
    """Check what may be asked of the result, and fill in what was not."""
    if wanted is not None and not isinstance(wanted, Mapping):
        raise ArgumentError(f"idata_kwargs must be a dict from options to True or False, not {wanted!r}.")
    unknown = [str(name) for name in wanted or {} if name not in _RESULT_OPTIONS]
    if unknown:
        raise ArgumentError(
            f"idata_kwargs has no option {', '.join(sorted(unknown))}; it has {', '.join(_RESULT_OPTIONS)}."
        )
    return _RESULT_OPTIONS | {name: _switch(f"idata_kwargs: {name}", value) for name, value in (wanted or {}).items()}


def _seen_by(callback) -> Callback | None:
    """Check how the user's code sees a run."""
    if callback is not None and not _takes_one(callback):
        raise ArgumentError(
            "callback must be a function of one argument, a snapshot of the run (with phase, n_draws, divergences, "
            f"step_size, draws() and stop()), which it gets about once a second; not {callback!r}."
        )
    return callback


def _takes_one(function) -> bool:
    """Whether a function can be called with one argument, as far as can be seen."""
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # of functions of C nothing is known
        return True
    return True


def _one_of(name: str, value, *known: str) -> str:
    if value not in known:
        quoted = " or ".join(f'"{one}"' for one in known)
        raise ArgumentError(f"{name} must be {quoted}, not {value!r}.")
    return value


def _adaptation(state) -> AdaptationState | None:
    if state is not None and not isinstance(state, AdaptationState):
        raise ArgumentError(f"adaptation_state must be what nutmill.adaptation_of gives, not {state!r}.")
    return state


def _executor(executor) -> Executor | None:
    if executor is not None and not isinstance(executor, Executor):
        raise ArgumentError(
            "executor must be a concurrent.futures.Executor, such as a ProcessPoolExecutor or Dask's "
            f"client.get_executor(), not {executor!r}."
        )
    return executor


def _seconds(name: str, value) -> float:
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < float("inf"):
        raise ArgumentError(f"{name} must be a number of seconds above 0, not {value!r}.")
    return float(value)


def _chain_ids(chain_ids, chains: int) -> list[int]:
    """All chains, or those named: whole groups, because the chains of a group learn from each other."""
    if chain_ids is None:
        return list(range(chains))
    if isinstance(chain_ids, str | bytes) or not isinstance(chain_ids, Iterable):
        raise ArgumentError(f"chain_ids must be a list of whole numbers, such as [0, 1, 2, 3], not {chain_ids!r}.")
    chain_ids = list(chain_ids)
    named = sorted(checked_count("each of chain_ids", chain_id, 0, chains - 1) for chain_id in chain_ids)
    wanted = whole_groups(named, chains)
    if not named or named != wanted:
        raise ArgumentError(
            f"chain_ids must name whole groups of {GROUP_SIZE} chains, which share their warmup: "
            f"{wanted or list(range(min(GROUP_SIZE, chains)))} rather than {chain_ids} (of {chains} chains)."
        )
    return named


def checked_count(name: str, value, least: int, most: int | None = None) -> int:
    """Read an argument that is a whole number; raises ArgumentError, with what it may be, if it is none."""
    is_count = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_count or value < least or (most is not None and value > most):
        limits = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ArgumentError(f"{name} must be a whole number, {limits}, not {value!r}.")
    return int(value)


def _seed(random_seed) -> int:
    if isinstance(random_seed, np.random.Generator):
        return int(random_seed.integers(2**63))
    if isinstance(random_seed, int | np.integer) and random_seed >= 0:
        return int(random_seed)
    if random_seed is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    try:
        is_sequence = isinstance(random_seed, np.random.SeedSequence)
        sequence = random_seed if is_sequence else np.random.SeedSequence(random_seed)
        return int(sequence.generate_state(1, np.uint64)[0])
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            "random_seed must be a non-negative integer, a sequence of them, a Generator or a SeedSequence, not "
            f"{random_seed!r}."
        ) from error


def _layout(layout):
    if layout is None or isinstance(layout, Layout | str | os.PathLike):
        return layout
    raise ArgumentError(f'layout must be "auto", a Layout, the path of a layout profile, or None, not {layout!r}.')
