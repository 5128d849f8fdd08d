"""A new group of chains: its arrays, with room for everything it will write."""

import math
from typing import NamedTuple

import numpy as np

from nutmill.nuts import state as layout
from nutmill.nuts.group_size import GROUP_SIZE
from nutmill.nuts.state import N_BLOCKS
from nutmill.nuts.warmup.schedule import warmup_schedule

_ROWS_PER_CHAIN = 64
_MAX_RANK, _MIN_RANK = 256, 2
# The space that directions are looked for in: of so many dimensions up to that many parameters. Fitting takes the
# time of _MAX_SIZE^3 multiplications and of size^2 for each parameter, which is not to grow beyond that.
_MAX_SIZE, _LARGE = 256, 512
# With less there is nothing to be found.
_MIN_SIZE = 48
# Numbers in the directions of a chain: all directions up to 200 parameters. A step takes two multiplications for each.
_MAX_NUMBERS = 40_000

# Numbers in a cache line.
_LINE = 8

# Centrednesses that are compared: 0, 0.05, ..., 1. Their learning needs some draws where directions need none.
_N_CANDIDATES, _FEWEST_ROWS_PER_BLOCK = 21, 8

# All that a run changes and a later draw may depend on, which begins with zeros.
_LEFT_BY_A_RUN = (
    *("group", "chains", "blocks", "gradient", "centredness", "location", "log_scale", "directions", "moments", "rows"),
    *("warmup_force", "warmup_energy", "warmup_lp", "proposed", "usual_log_scale", "losses", "stop", "tree"),
)


class GroupPlan(NamedTuple):
    """What a group is to do."""

    draws: int  # draws to keep of each chain
    tune: int | None  # warmup draws of each chain; None: until the chains agree
    target_accept: float
    max_treedepth: int
    keep_warmup: bool
    n_divergences: int  # how many divergences of each chain are kept in full
    # Rows of draws that a chain has room for, warmup draws and divergences likewise; None: for all.
    window: int | None = None
    metric: str = "auto"  # "diag", or "auto" for a diagonal and the directions that draws can prove
    centring: bool = False  # whether chains move in coordinates of their own (`nuts.recentring`)

    def room(self, count: int) -> int:
        """Return for how many of so many outputs a chain has room."""
        return count if self.window is None else min(count, self.window)


class LowRankSizes(NamedTuple):
    """Lengths of the arrays of a group; with all of them 0 its metric stays diagonal."""

    max_rank: int = 0
    rows_per_block: int = 0  # draws that a block keeps
    matrix_size: int = 0  # dimension of the space that directions are looked for in
    n_work_rows: int = 0


class LearningRoom(NamedTuple):
    """Arrays that nothing stays in from one barrier to the next: groups whose barriers take turns share them."""

    low_rank_rows: np.ndarray
    low_rank_matrices: np.ndarray


def learning_room(plan: GroupPlan, n_dim: int) -> LearningRoom:
    """Allocate room for one group of up to GROUP_SIZE chains."""
    sizes = [_low_rank(plan, n_chains, n_dim) for n_chains in range(1, GROUP_SIZE + 1)]
    n_rows, size = max(each.n_work_rows for each in sizes), sizes[0].matrix_size
    return LearningRoom(np.zeros((n_rows, n_dim)), np.zeros((3, size, size)))


def _low_rank(plan: GroupPlan, n_chains: int, n_dim: int) -> LowRankSizes:
    return low_rank_sizes(n_chains, n_dim) if plan.metric == "auto" else LowRankSizes()


def new_group(
    plan: GroupPlan,
    initial_points: np.ndarray,
    seed: int,
    chain_ids: list[int],
    room: LearningRoom | None = None,
) -> layout.GroupState:
    """Allocate the arrays of a group and write its start into them.

    Parameters
    ----------
    initial_points : (n_chains, n_dim) float64
    chain_ids : list of int
        Each names one stream of random numbers.
    room : LearningRoom, optional
        That of other groups; None: one of its own.

    Returns
    -------
    GroupState
        In the phase START.
    """
    n_chains, n_dim = initial_points.shape
    schedule = warmup_schedule(plan.tune, plan.max_treedepth, plan.target_accept)
    n_warmup = int(schedule["n_draws"].sum())
    low_rank = _low_rank(plan, n_chains, n_dim)
    room = learning_room(plan, n_dim) if room is None else room
    state = layout.GroupState(
        settings=np.array([(plan.target_accept, plan.max_treedepth)], layout.SETTINGS),
        group=np.zeros(1, layout.GROUP),
        schedule=schedule,
        chains=np.zeros(n_chains, layout.CHAIN),
        blocks=np.zeros((n_chains, layout.N_BLOCKS), layout.BLOCK),
        rng=np.zeros((n_chains, 4), np.uint64),
        position=np.zeros((n_chains, n_dim)),
        gradient=np.zeros((n_chains, n_dim)),
        **_coordinates(plan, n_chains, n_dim),
        variance=np.ones((n_chains, n_dim)),
        directions=np.zeros((n_chains, low_rank.max_rank, n_dim)),
        stretch=np.ones((n_chains, low_rank.max_rank)),
        moments=np.zeros((n_chains, layout.N_BLOCKS, 4, n_dim)),
        rows=np.zeros((n_chains, layout.N_BLOCKS, _rows_per_block(plan, low_rank), 4 if plan.centring else 2, n_dim)),
        warmup_force=np.zeros((n_chains, n_warmup)),
        warmup_energy=np.zeros((n_chains, n_warmup)),
        warmup_lp=np.zeros((n_chains, n_warmup)),
        stop=np.zeros(1, np.int64),
        unkept=np.zeros(n_chains, layout.STATISTICS),
        pool_work=np.zeros((4, max(n_warmup, GROUP_SIZE, low_rank.matrix_size, _N_CANDIDATES))),
        **_outputs(plan, n_chains, n_dim, n_warmup),
        precision_root=np.zeros((n_chains, n_dim)),
        **_trajectories(plan, n_chains, n_dim + low_rank.max_rank),
        **room._asdict(),
    )
    _begin(state, initial_points, seed, chain_ids)
    return state


def renew_group(state: layout.GroupState, initial_points: np.ndarray, seed: int, chain_ids: list[int]) -> None:
    """Write another start into the arrays of a group that has run: it then makes the draws of a new one.

    Parameters
    ----------
    state : GroupState
        Without sites of another model: `written` and `sites` stay.
    initial_points : (n_chains, n_dim) float64
    """
    for name in _LEFT_BY_A_RUN:
        getattr(state, name).fill(0)
    for name in ("variance", "stretch"):
        getattr(state, name).fill(1.0)
    _begin(state, initial_points, seed, chain_ids)


def _begin(state: layout.GroupState, initial_points: np.ndarray, seed: int, chain_ids: list[int]) -> None:
    """Write the start of a group into arrays that are as they were allocated."""
    state.position[...] = initial_points
    for row, chain_id in zip(state.rng, chain_ids, strict=True):
        row[:] = seed_stream(seed, chain_id)
    state.group["n_dim"] = state.position.shape[1]
    state.group["stage"] = -1
    state.group["target_accept"] = state.settings["target_accept"]
    state.chains["admitted"] = True
    for kind in ("shortest_divergence", "shortest_near", "shortest_rough"):
        state.chains[kind] = np.inf


def _rows_per_block(plan: GroupPlan, low_rank: LowRankSizes) -> int:
    return max(low_rank.rows_per_block, _FEWEST_ROWS_PER_BLOCK) if plan.centring else low_rank.rows_per_block


def _coordinates(plan: GroupPlan, n_chains: int, n_dim: int) -> dict[str, np.ndarray]:
    """Allocate what coordinates are kept and learned in; chains begin in those of a model of centredness 0."""
    n = n_dim if plan.centring else 0
    return {
        "centredness": np.zeros((n_chains, n)),
        "location": np.zeros((n_chains, n)),
        "log_scale": np.zeros((n_chains, n)),
        "written": np.zeros(n),
        "proposed": np.zeros(n),
        "usual_log_scale": np.zeros(n),
        "sites": np.full(n, -1),
        "joint": np.zeros(n, np.int64),
        "trial_blocks": np.zeros((n_chains if n else 0, 2, layout.N_TRIED + 1), layout.BLOCK),
        "trials": np.zeros((n_chains if n else 0, 2, layout.N_TRIED + 1, 4, n)),
        "losses": np.zeros((2, n, _N_CANDIDATES) if plan.centring else (0, 0, 0)),
    }


def _outputs(plan: GroupPlan, n_chains: int, n_dim: int, n_warmup: int) -> dict[str, np.ndarray]:
    """Allocate what draws are written to; it costs no memory until then."""
    n_draws, n_divergences = plan.room(plan.draws), plan.room(plan.n_divergences)
    n_warmup = plan.room(n_warmup) if plan.keep_warmup else 0
    return {
        "draws": np.empty((n_chains, n_draws, n_dim)),
        "statistics": np.zeros((n_chains, n_draws), layout.STATISTICS),
        "warmup_draws": np.empty((n_chains, n_warmup, n_dim)),
        "warmup_statistics": np.zeros((n_chains, n_warmup), layout.STATISTICS),
        "divergences": np.zeros((n_chains, n_divergences), layout.DIVERGENCE),
        "divergence_points": np.empty((n_chains, n_divergences, 3, n_dim)),
    }


def _trajectories(plan: GroupPlan, n_chains: int, length: int) -> dict[str, np.ndarray]:
    """Allocate what trajectories of `max_treedepth` doublings need, of vectors of some length or a little more."""
    length += -length % _LINE
    n_slots = plan.max_treedepth + 2
    n_points = 3 * n_slots + 3  # first, last and chosen of every slot, the leaf under way, two for its refinement
    return {
        "tree": np.zeros(n_chains, layout.TREE),
        "weights": _aligned_zeros(n_chains, length),
        "points": np.zeros((n_chains, n_points), layout.POINT),
        "vectors": _aligned_zeros(n_chains, n_points, 3, length),
        "slots": np.zeros((n_chains, n_slots), layout.SLOT),
        "momentum_sums": _aligned_zeros(n_chains, n_slots, length),
    }


def _aligned_zeros(*shape: int) -> np.ndarray:
    """Allocate numbers that begin where a cache line does: registers are then filled from one line each."""
    room = np.zeros(math.prod(shape) + _LINE)
    first = -room.ctypes.data // room.itemsize % _LINE
    return room[first : first + math.prod(shape)].reshape(shape)


def low_rank_sizes(n_chains: int, n_dim: int) -> LowRankSizes:
    """Plan the learning of directions: where there are many dimensions, in the span of fewer draws."""
    size = _MAX_SIZE if n_dim <= _LARGE else int(_MAX_SIZE * math.sqrt(_LARGE / n_dim))
    if size < _MIN_SIZE:
        return LowRankSizes()
    # Draws and gradients together span no more than there is room for.
    per_chain = _ROWS_PER_CHAIN if n_dim <= size else min(_ROWS_PER_CHAIN, size // (2 * n_chains))
    per_block = max(1, per_chain // N_BLOCKS)
    n_rows, size = per_block * N_BLOCKS * n_chains, min(n_dim, size)
    max_rank = min(n_dim, _MAX_RANK, max(_MIN_RANK, _MAX_NUMBERS // n_dim))
    # Draws, gradients, a basis of both, two rows to centre with, the directions found, those proven.
    n_work_rows = 2 * n_rows + size + 2 + max_rank + min(layout.MOST_PROVEN, 2 * max_rank)
    return LowRankSizes(max_rank, per_block, size, n_work_rows)


def seed_stream(seed: int, chain_id: int) -> np.ndarray:
    """Return the start of the stream of one chain, (4,) uint64; those of other chains are independent."""
    return np.random.SeedSequence(seed, spawn_key=(chain_id,)).generate_state(4, np.uint64)
