"""Looks ahead whether the draws of a run fit into memory, or onto the disk, before anything is sampled."""

import shutil
from pathlib import Path

from nutmill.checkpoint.records import draw_record
from nutmill.errors import ModelError
from nutmill.layout.machine.topology import Topology
from nutmill.native.compiled import CompiledModel
from nutmill.nuts.warmup.schedule import ADAPTIVE_WARMUP_DRAWS
from nutmill.run.run import statistics_bytes
from nutmill.sampling.request import Request
from nutmill.units import gigabytes

# Of a draw of warmup: log density, energy and force, and room to compare them with those of the other chains.
_WARMUP_DRAW_BYTES = 56


def warmup_bytes(compiled: CompiledModel, request: Request) -> int:
    """Bytes that the warmup of a run takes, at most."""
    n_draws = ADAPTIVE_WARMUP_DRAWS if request.tune is None else request.tune
    each = _WARMUP_DRAW_BYTES + (_draw_bytes(compiled) if request.keep_warmup and request.checkpoint is None else 0)
    return len(request.chain_ids) * n_draws * each


def needed_bytes(compiled: CompiledModel, request: Request) -> int:
    """Bytes that draws, statistics and reported variables of a run take at its end."""
    each = _draw_bytes(compiled) + _likelihood_bytes(compiled, request)
    if request.result["divergences"]:
        each += 3 * 8 * compiled.n_dim
    return len(request.chain_ids) * request.draws * each


def _draw_bytes(compiled: CompiledModel) -> int:
    return 8 * compiled.n_dim + statistics_bytes() + sum(compiled.binding.expanded_bytes.values())


def _likelihood_bytes(compiled: CompiledModel, request: Request) -> int:
    return sum(compiled.likelihood.expanded_bytes.values()) if request.result["log_likelihood"] else 0


def _what_to_do(compiled: CompiledModel, request: Request, needed: int) -> str:
    """Name what takes most of the bytes, if one thing does, and what to do about it."""
    sizes = {**compiled.binding.expanded_bytes, "log_likelihood": _likelihood_bytes(compiled, request)}
    largest = max(sizes, key=lambda name: sizes[name])
    n_bytes = len(request.chain_ids) * request.draws * sizes[largest]
    if 2 * n_bytes < needed:
        return "take fewer chains or draws, or report fewer variables (var_names=)"
    without = "of idata_kwargs" if largest == "log_likelihood" else "by naming the others as var_names="
    return f"{largest} takes {gigabytes(n_bytes)} of it: leave it out {without}, or take fewer chains or draws"


def check_memory(compiled: CompiledModel, request: Request, topology: Topology) -> None:
    """Refuse a run whose draws cannot fit, those of warmup among them; with a checkpoint the others go to the disk.

    Raises ModelError with what is needed, what there is, and what to do.
    """
    warmup, there = warmup_bytes(compiled, request), topology.memory_bytes
    draws = needed_bytes(compiled, request) if request.checkpoint is None else 0
    if there is not None and warmup + draws > there:
        count = f"{request.draws} draws" if draws > warmup else f"{request.tune} draws of warmup"
        raise ModelError(
            f"{len(request.chain_ids)} chains of {count} need about {gigabytes(warmup + draws)}, and this process "
            f"may use {gigabytes(there)}: {_what_to_do(compiled, request, warmup + draws)}."
        )


def check_disk(compiled: CompiledModel, request: Request, folder: Path) -> None:
    """Refuse a run whose draws the disk of its folder cannot hold; one with a limit of time may not make them all.

    Raises ModelError with what is needed, what there is, and what to do.
    """
    n_chains, there = len(request.chain_ids), shutil.disk_usage(folder).free
    # The draws as they are made, and the result, which is a file too if it is large.
    needed = n_chains * request.draws * draw_record(compiled.n_dim).itemsize + needed_bytes(compiled, request)
    if needed > there and request.max_time is None:
        raise ModelError(
            f"{n_chains} chains of {request.draws} draws need about {gigabytes(needed)} in {folder}, "
            f"and {gigabytes(there)} are free there: {_what_to_do(compiled, request, needed)}."
        )
