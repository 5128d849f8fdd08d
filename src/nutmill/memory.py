"""Looks ahead whether the draws of a run fit into memory, before anything is sampled."""

from nutmill.compiled import CompiledModel
from nutmill.errors import ModelError
from nutmill.layout.topology import Topology
from nutmill.request import Request
from nutmill.run.results import statistics_bytes

_GB = 1e9


def needed_bytes(compiled: CompiledModel, request: Request) -> int:
    """Bytes that draws, statistics and reported variables of a run take at its end."""
    position = 8 * compiled.n_dim
    each = position + statistics_bytes() + compiled.binding.expanded_bytes
    if request.result["divergences"]:
        each += 3 * position
    return request.chains * request.draws * each


def check_memory(compiled: CompiledModel, request: Request, topology: Topology) -> None:
    """Refuse a run whose draws cannot fit.

    Raises
    ------
    ModelError
        With what is needed, what there is, and what to do.
    """
    needed, there = needed_bytes(compiled, request), topology.memory_bytes
    if there is not None and needed > there:
        raise ModelError(
            f"{request.chains} chains of {request.draws} draws need about {needed / _GB:.3g} GB, and this process may "
            f"use {there / _GB:.3g} GB: take fewer chains or draws, or report fewer variables (var_names=)."
        )
