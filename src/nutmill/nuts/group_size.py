"""How many chains learn from each other during warmup; a file of its own, which brings no NumPy."""

from collections.abc import Iterable

GROUP_SIZE = 4


def whole_groups(chain_ids: Iterable[int], chains: int) -> list[int]:
    """Give all chains of the groups that some chains belong to, in ascending order; `chains` are all of the run."""
    groups = sorted({chain_id // GROUP_SIZE for chain_id in chain_ids})
    return [k for g in groups for k in range(GROUP_SIZE * g, min(GROUP_SIZE * (g + 1), chains))]
