"""Draws of a run, with all that is known about them, as one ArviZ object."""

import itertools
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from nutmill.checkpoint.records import as_checkpoint_error
from nutmill.files import kind_of, open_plain
from nutmill.native.compiled import CompiledModel
from nutmill.results import trace
from nutmill.results.fingerprints import FINGERPRINTS, fingerprints
from nutmill.run.run import Chains, Divergences, Run

# Arrays below this stay in memory: a file for each would only be in the way.
_LARGE_BYTES = 1 << 24
# What is computed of draws is computed so many bytes at a time: all of it may be larger than memory.
BLOCK_BYTES = 1 << 24
_OURS = re.compile(r"\d{4,}\.array")
_SETTINGS = ("draws", "tune", "chains", "target_accept", "max_treedepth", "metric", "centring")


def to_result(
    compiled: CompiledModel, run: Run, request: Mapping[str, Any], layout: Mapping[str, Any], folder: Path | None = None
):
    """Gather reported variables, statistics, data and attributes; InferenceData or DataTree, as ArviZ has it.

    `request` is what the user asked for, as the manifest of a run has it (`sampling.request.Request.as_json`).
    Large arrays go to files in `folder`, if there is one, and come into memory when they are looked at.
    """
    of_layout = layout["requested"]
    n_threads = of_layout["chains_at_once"] * max(of_layout.get(name, 1) for name in ("blas_threads", "tile_threads"))
    maker = DrawsMaker(compiled, n_threads, request["idata_kwargs"]["include_transformed"], folder)
    warmup = None
    if run.warmup_draws is not None and run.warmup_statistics is not None:
        warmup = maker.make(run.warmup_draws, run.warmup_statistics)
    draws = maker.make(run.draws, run.statistics)
    if request["idata_kwargs"]["log_likelihood"]:
        draws = draws._replace(log_likelihood=maker.log_likelihood(run.draws))
    return trace.to_arviz(
        draws,
        _model_data(compiled, run.chain_ids),
        warmup=warmup,
        divergences=None if run.divergences is None else _divergences(run.chain_ids, run.divergences),
        adaptation=trace.AdaptationGroup(
            run.adaptation, run.warmup.target_accept, run.warmup.restarted_at, centredness_of(compiled, run)
        ),
        attrs=_attributes(compiled, run, request, layout),
    )


def to_result_so_far(
    compiled: CompiledModel,
    draws: np.ndarray,
    statistics: np.ndarray,
    request: Mapping[str, Any],
    *,
    one_blas_thread: bool = True,
):
    """Gather reported variables, statistics and data of a run that goes on.

    Parameters
    ----------
    draws : (chains, n, n_dim) float64
    statistics : (chains, n) structured
    request : mapping
        As in `to_result`.
    one_blas_thread : bool
        False while chains need more threads, which are those of the whole process: last bits of what the model computes
        of its parameters may differ then from those of the result.
    """
    pieces = compiled.split(draws) if request["idata_kwargs"]["include_transformed"] else None
    expanded = compiled.expand(draws, one_blas_thread=one_blas_thread)
    return trace.to_arviz(
        trace.Draws(expanded, statistics, pieces),
        _model_data(compiled, request["chain_ids"]),
        attrs={"/": {"seed": request["random_seed"], "interrupted": draws.shape[1] < request["draws"]}},
    )


def _model_data(compiled: CompiledModel, chain_ids: Sequence[int]) -> trace.ModelData:
    described = compiled.description
    shown = compiled.origin.shown(described.values)
    return trace.ModelData(
        # Copies: what users change in a result is no data of the model.
        observed={name: np.array(shown[name]) for name in described.observed},
        constant={name: np.array(shown[name]) for name in described.constant},
        coords={**described.coords, "chain": chain_ids},
        dims={**described.array_dims, **{p.name: p.dims for p in described.parameters if p.dims}},
    )


def centredness_of(compiled: CompiledModel, run: Run) -> dict[str, np.ndarray]:
    """Centredness that each chain has chosen for each element of the variables that have one; (chain, *shape)."""
    if not run.adaptation.centredness.size:
        return {}
    pieces = list(compiled.split(run.adaptation.centredness).values())
    parameters = compiled.description.parameters
    return {parameters[number].rv_name: pieces[number] for number, *_ in compiled.code.sites}


def centring_in_words(compiled: CompiledModel, run: Run) -> str:
    """Tell above which scales elements are rather centred than not, by variable; "" where no variable has a site."""
    with np.errstate(divide="ignore"):
        of_sites = zip(centredness_of(compiled, run).items(), compiled.code.scaled, strict=False)
        turns = {name: np.sqrt((1.0 - c) / c) for (name, c), is_scaled in of_sites if is_scaled}
    if not turns:
        return ""
    return "centredness: centred above a scale of (inf: never, 0: always) " + "; ".join(
        f"{name} {at.min():.3g} to {at.max():.3g}, median {np.median(at):.3g}" for name, at in turns.items()
    )


def _divergences(chain_ids: Sequence[int], chains: Sequence[Divergences]) -> trace.DivergencesGroup:
    """All divergences of a run, one row each."""
    records = [chain.records for chain in chains]
    points = np.concatenate([chain.points for chain in chains])
    return trace.DivergencesGroup(
        chain=np.repeat(chain_ids, [len(rows) for rows in records]),
        draw=np.concatenate([rows["draw"] for rows in records]),
        start=points[:, 0],
        end=points[:, 1],
        gradient=points[:, 2],
        energy_error=np.concatenate([rows["energy_error"] for rows in records]),
    )


def _attributes(
    compiled: CompiledModel, run: Run, request: Mapping[str, Any], layout: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    seconds = run.seconds
    times = {
        "sampling_time": seconds.warmup_wall + seconds.sampling_wall,
        "tuning_steps": int(run.warmup.n_draws.max(initial=0)),
    }
    settings = {name: request[name] for name in _SETTINGS}
    sampled = ("posterior", "sample_stats", "warmup_posterior", "warmup_sample_stats")
    of_groups: dict[str, dict[str, Any]] = {name: dict(times) for name in sampled}
    of_groups["sample_stats"]["inference_library_settings"] = json.dumps(settings)
    root = {
        "seed": request["random_seed"],
        "starts": request["starts"],
        "interrupted": run.interrupted,
        "stopped_by": run.ending.stopped_by,
        "cpu_layout": layout,
        "blas_threads": layout["blas_threads"],
        "tile_threads": layout.get("tile_threads"),
        "compile_cpu_seconds": compiled.code.stages,
        "sampling_seconds": seconds._asdict(),
        "fused": compiled.code.fused,
        "lowering": compiled.code.lowering,
        FINGERPRINTS: fingerprints(compiled),
        "versions": _versions(),
    }
    return {"/": root, **of_groups}


@cache
def _versions() -> dict[str, str]:
    """Versions of what is installed: a model that was loaded from a file needs neither PyMC nor PyTensor."""
    found = {}
    for name in ("nutmill", "numpy", "numba", "llvmlite", "pytensor", "pymc"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


class DrawsMaker:
    """Makes what the chains drew in one phase of what the driver gives; `threads` blocks of draws at the same time.

    With `unconstrained` draws on the unconstrained scale are kept as well. Arrays of draws that lie in files go to
    `folder`; those that earlier sessions left there are removed, and nothing else.
    """

    def __init__(self, compiled: CompiledModel, threads: int, unconstrained: bool, folder: Path | None):
        self._compiled = compiled
        self._threads = threads
        self._unconstrained = unconstrained
        self._folder = folder
        self._numbers = itertools.count()
        if folder is not None:
            for path in folder.iterdir():
                if _OURS.fullmatch(path.name) and kind_of(path) == "a file":
                    path.unlink(missing_ok=True)  # whoever has opened it keeps it

    def make(self, draws: Chains, statistics: Chains) -> trace.Draws:
        """Expand draws (chains, n, n_dim), or chains of (n, n_dim) that lie in files."""
        if isinstance(draws, np.ndarray) and isinstance(statistics, np.ndarray):
            pieces = self._compiled.split(draws) if self._unconstrained else None
            return trace.Draws(self._compiled.expand(draws, self._threads), statistics, pieces)
        kept = self._empty((len(statistics), len(statistics[0])), statistics[0].dtype)
        for chain, rows in enumerate(statistics):
            kept[chain] = rows
        return trace.Draws(
            self._filled(draws, lambda block: self._compiled.expand(block, self._threads)),
            _private(kept),
            self._filled(draws, self._compiled.split) if self._unconstrained else None,
        )

    def log_likelihood(self, draws: Chains) -> dict[str, np.ndarray]:
        """Compute the log likelihood of each observation for draws as `make` takes them."""

        def expand(block: np.ndarray) -> dict[str, np.ndarray]:
            return self._compiled.log_likelihood(block, self._threads)

        return expand(draws) if isinstance(draws, np.ndarray) else self._filled(draws, expand)

    def _filled(self, draws: Chains, expand) -> dict[str, np.ndarray]:
        n_chains, (n_draws, n_dim) = len(draws), draws[0].shape
        like = expand(self._compiled.binding.inside[None])
        row_bytes = 8 * n_dim + sum(values.nbytes for values in like.values())
        n_rows = max(1, BLOCK_BYTES // row_bytes)
        filled = {
            name: self._empty((n_chains, n_draws, *values.shape[1:]), values.dtype) for name, values in like.items()
        }
        for chain, first in itertools.product(range(n_chains), range(0, n_draws, n_rows)):
            block = np.ascontiguousarray(draws[chain][first : first + n_rows])
            for name, values in expand(block).items():
                filled[name][chain, first : first + n_rows] = values
        return {name: _private(values) for name, values in filled.items()}

    def _empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Make room, in a file if it is large."""
        if self._folder is None or math.prod(shape) * np.dtype(dtype).itemsize < _LARGE_BYTES:
            return np.zeros(shape, dtype)
        path, n_bytes = self._new_file(self._folder), math.prod(shape) * np.dtype(dtype).itemsize
        if hasattr(os, "posix_fallocate"):  # where a page that is written to finds no room, the system ends the process
            with as_checkpoint_error(self._folder.parent), os.fdopen(open_plain(path, os.O_RDWR), "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, n_bytes)
        return np.memmap(path, dtype, mode="r+", shape=shape)

    def _new_file(self, folder: Path) -> Path:
        """Make a file under the next number that is free."""
        while True:
            path = folder / f"{next(self._numbers):04d}.array"
            with as_checkpoint_error(folder.parent), suppress(FileExistsError):
                os.close(open_plain(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
                return path


def _private(array: np.ndarray) -> np.ndarray:
    """Open what has been written to a file anew: what users change in it stays in memory."""
    if not isinstance(array, np.memmap) or array.filename is None:
        return array
    array.flush()
    return np.memmap(array.filename, array.dtype, mode="c", shape=array.shape)
