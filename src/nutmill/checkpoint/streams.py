"""What the chains of a group make row by row: in which of its arrays the rows lie, and how many there are."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nutmill.checkpoint.records import divergence_record, draw_record
from nutmill.nuts.state import SAMPLING, GroupState


class Stream(NamedTuple):
    """One kind of rows that chains make."""

    kind: str
    record: Callable[[int], np.dtype]  # function of the number of unconstrained values: type of a row in a file
    fields: dict[str, str]  # field of such a record -> field of the state
    # Function of the records of group and chain: how many rows a chain has made so far.
    n_made: Callable[[np.void, np.void], int]

    def arrays(self, state: GroupState) -> list[np.ndarray]:
        """The arrays of a group that rows of this kind lie in, (chains, room, ...) each."""
        return [getattr(state, field) for field in self.fields.values()]

    def room(self, state: GroupState) -> int:
        """For how many rows of each chain there is room."""
        return self.arrays(state)[0].shape[1]


def _n_warmup(group: np.void, chain: np.void) -> int:
    return int(min(chain["n_draws"], group["n_warmup"]) if group["phase"] == SAMPLING else chain["n_draws"])


def _n_sampled(group: np.void, chain: np.void) -> int:
    return int(chain["n_draws"]) - _n_warmup(group, chain)


def _n_divergences(_group: np.void, chain: np.void) -> int:
    return int(chain["n_divergences"])


STREAMS = (
    Stream("draws", draw_record, {"position": "draws", "statistics": "statistics"}, _n_sampled),
    Stream("warmup", draw_record, {"position": "warmup_draws", "statistics": "warmup_statistics"}, _n_warmup),
    Stream(
        "divergences",
        divergence_record,
        {"divergence": "divergences", "points": "divergence_points"},
        _n_divergences,
    ),
)


def stream_of(kind: str) -> Stream:
    """Give the stream of a kind: "draws", "warmup" or "divergences"."""
    return next(stream for stream in STREAMS if stream.kind == kind)
