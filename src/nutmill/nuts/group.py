"""A new group of chains: its arrays, with room for everything it will write."""

from typing import NamedTuple

import numpy as np

from nutmill.nuts import state as layout
from nutmill.nuts.schedule import warmup_schedule
from nutmill.nuts.seeds import seed_stream


class GroupPlan(NamedTuple):
    """What a group is to do.

    Attributes
    ----------
    draws : int
        Draws to keep of each chain.
    tune : int or None
        Warmup draws of each chain; None: until the chains agree.
    target_accept : float
    max_treedepth : int
    keep_warmup : bool
    n_divergences : int
        How many divergences of each chain are kept in full.
    window : int or None
        Rows of draws that a chain has room for, warmup draws and divergences likewise; None: for all.
    """

    draws: int
    tune: int | None
    target_accept: float
    max_treedepth: int
    keep_warmup: bool
    n_divergences: int
    window: int | None = None

    def room(self, count: int) -> int:
        """Return for how many of so many outputs a chain has room."""
        return count if self.window is None else min(count, self.window)


def new_group(plan: GroupPlan, initial_points: np.ndarray, seed: int, chain_ids: list[int]) -> layout.GroupState:
    """Allocate the arrays of a group and write its start into them.

    Parameters
    ----------
    plan : GroupPlan
    initial_points : (n_chains, n_dim) float64
    seed : int
    chain_ids : list of int
        Each names one stream of random numbers.

    Returns
    -------
    GroupState
        In the phase START. Outputs cost no memory until they are written.
    """
    n_chains, n_dim = initial_points.shape
    schedule = warmup_schedule(plan.tune, plan.max_treedepth)
    n_warmup = int(schedule["n_draws"].sum())
    n_warmup_kept = plan.room(n_warmup) if plan.keep_warmup else 0
    n_slots = plan.max_treedepth + 2
    n_points = 3 * n_slots + 1  # first, last and chosen of every slot, and the leaf under way
    state = layout.GroupState(
        settings=np.array([(plan.target_accept, plan.max_treedepth)], layout.SETTINGS),
        group=np.zeros(1, layout.GROUP),
        schedule=schedule,
        chains=np.zeros(n_chains, layout.CHAIN),
        blocks=np.zeros((n_chains, layout.N_BLOCKS), layout.BLOCK),
        rng=np.array([seed_stream(seed, chain_id) for chain_id in chain_ids]),
        position=np.array(initial_points, dtype=np.float64, order="C"),
        gradient=np.zeros((n_chains, n_dim)),
        variance=np.ones((n_chains, n_dim)),
        moments=np.zeros((n_chains, layout.N_BLOCKS, 4, n_dim)),
        warmup_lp=np.zeros((n_chains, n_warmup)),
        stop=np.zeros(1, np.int64),
        unkept=np.zeros(n_chains, layout.STATISTICS),
        draws=np.empty((n_chains, plan.room(plan.draws), n_dim)),
        statistics=np.zeros((n_chains, plan.room(plan.draws)), layout.STATISTICS),
        warmup_draws=np.empty((n_chains, n_warmup_kept, n_dim)),
        warmup_statistics=np.zeros((n_chains, n_warmup_kept), layout.STATISTICS),
        divergences=np.zeros((n_chains, plan.room(plan.n_divergences)), layout.DIVERGENCE),
        divergence_points=np.empty((n_chains, plan.room(plan.n_divergences), 3, n_dim)),
        tree=np.zeros(n_chains, layout.TREE),
        points=np.zeros((n_chains, n_points), layout.POINT),
        vectors=np.zeros((n_chains, n_points, 5, n_dim)),
        slots=np.zeros((n_chains, n_slots), layout.SLOT),
        momentum_sums=np.zeros((n_chains, n_slots, n_dim)),
        pool_work=np.zeros((4, max(n_warmup, layout.GROUP_SIZE))),
    )
    state.group["n_dim"] = n_dim
    state.group["stage"] = -1
    state.chains["admitted"] = True
    return state
