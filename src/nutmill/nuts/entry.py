"""The C functions of the kernel for one density: called by a driver, or taken as bitcode for fusion."""

from typing import NamedTuple

from numba import cfunc, types

from nutmill._jit import kernel
from nutmill.nuts.chain import advance_chain, start_chain, trajectory_of
from nutmill.nuts.summaries.mixing import judge
from nutmill.nuts.summaries.mixing_room import N_PRECISIONS, SUMMARY
from nutmill.nuts.summaries.precision import measure
from nutmill.nuts.summaries.scalar_summary import summarise
from nutmill.nuts.table import group_state, mixing_room
from nutmill.nuts.warmup.barrier import pool_chains
from nutmill.nuts.whole_run import run_with

_TABLE = types.CPointer(types.int64)
_OPTIONS = {"error_model": "numpy", "_nrt": False}


class EntryPoints(NamedTuple):
    """The kernel as C functions; each is a Numba cfunc (`address`, and its library for the bitcode).

    Attributes
    ----------
    start(group, chain, data) -> int32
        First metric and step size of a chain; then `pool`. Not zero: the chain cannot start there.
    advance(group, chain, n_draws, data) -> int32
        `n_draws` further draws of a chain, fewer if the stop flag is raised. Negative: the chain had to stop.
    pool(group) -> int32
        What all chains of the group do together once each has reached `stage_end` draws.
    """

    start: object
    advance: object
    pool: object


@kernel
def no_sites(position, location, log_scale, data):
    """What stands for the sites of a density that has none: chains never call it."""
    return 0


def entry_points(density, sites=no_sites) -> EntryPoints:
    """Compile the entry points for a density.

    Parameters
    ----------
    density : njit function (position, gradient, data) -> (status, lp)
        `position` and `gradient` are (n_dim,) float64, `gradient` is written, `data` is an int64 that only
        the density reads. Status 0 is fine, positive a divergence at this point, negative stops the chain.
    sites : njit function (position, location, log_scale, data) -> status
        Writes location and log scale of elements of sites (`nuts.recentring`), all (n_dim,) float64.
    """
    # Compiled on their own first: within the kernel they would inherit the kernel's options, which forbid arrays.
    vector = types.float64[::1]
    density.compile((vector, vector, types.int64))
    sites.compile((vector, vector, vector, types.int64))

    @cfunc(types.int32(_TABLE, types.int64, types.int64), **_OPTIONS)
    def nutmill_start(table, chain, data):
        state = group_state(table)
        return start_chain(trajectory_of(density, sites, data, state, chain), state, chain)

    @cfunc(types.int32(_TABLE, types.int64, types.int64, types.int64), **_OPTIONS)
    def nutmill_advance(table, chain, n_draws, data):
        state = group_state(table)
        return advance_chain(trajectory_of(density, sites, data, state, chain), state, chain, n_draws)

    return EntryPoints(nutmill_start, nutmill_advance, pool_entry())


def pool_entry():
    """Compile the entry point that no density is needed for."""

    @cfunc(types.int32(_TABLE), **_OPTIONS)
    def nutmill_pool(table):
        pool_chains(group_state(table))
        return 0

    return nutmill_pool


def run_entry(start, advance, pool):
    """Compile `run(group, records, n_draws) -> int32`, which calls the other entry points until all draws are made.

    Status as theirs: of `start`, not zero; of `advance`, negative. See `nuts.whole_run.run_with` for the arguments.
    """
    run = run_with(start, advance, pool)

    @cfunc(types.int32(_TABLE, _TABLE, types.int64), **_OPTIONS)
    def nutmill_run(table, records, n_draws):
        state = group_state(table)
        return run(table, state.group, state.chains, records, n_draws)

    return nutmill_run


def mixing_entry():
    """Compile `mixing(room, first, last) -> int32`, which judges the scalars from `first` to before `last`.

    `room` is the table of a `nuts.summaries.mixing_room.MixingRoom`, which tells by its columns what is to be found.
    """

    @cfunc(types.int32(_TABLE, types.int64, types.int64), **_OPTIONS)
    def nutmill_mixing(table, first, last):
        room = mixing_room(table)
        if room.found.shape[1] == N_PRECISIONS:
            measure(room, first, last)
        elif room.found.shape[1] == len(SUMMARY):
            summarise(room, first, last)
        else:
            judge(room, first, last)
        return 0

    return nutmill_mixing
