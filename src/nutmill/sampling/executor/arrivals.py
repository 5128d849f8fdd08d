"""Progress of groups that are sampled elsewhere: from their folders while they run, else when they have arrived."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nutmill.progress.lines import ChainProgress
from nutmill.progress.status import INTERVAL_S
from nutmill.run.collect import rows_at_end
from nutmill.run.driver import OnProgress
from nutmill.run.run import Run, Settings
from nutmill.sampling.executor.parts import progress_of_part


class Arrivals:
    """Tells how all chains are doing, as often as it is asked.

    Parameters
    ----------
    groups : sequence of lists of int
        The chains of each.
    paths : sequence of Path or None
        The folder of each, None for those without.
    settings : Settings
    tell : callable
        Takes rows of all chains.
    """

    def __init__(
        self,
        groups: Sequence[list[int]],
        paths: Sequence[Path | None],
        settings: Settings,
        tell: OnProgress,
    ):
        self._settings = settings
        self._tell = tell
        self._paths = dict(enumerate(paths))
        self._rows = {chain_id: _waiting(chain_id, settings) for chain_ids in groups for chain_id in chain_ids}
        self._read_s = -INTERVAL_S

    def update(self, arrived: Mapping[int, Run | None]) -> None:
        """Take note of what has arrived, by number of the group, and tell.

        A run, or None for one that lies in the folder of its group.
        """
        is_due = time.monotonic() - self._read_s >= INTERVAL_S
        if is_due:
            self._read_s = time.monotonic()
        for number, path in list(self._paths.items()):
            if number in arrived:
                del self._paths[number]
            if number in arrived or is_due:
                run = arrived.get(number)
                rows = (
                    rows_at_end(run, self._settings)
                    if run is not None
                    else []
                    if path is None
                    else progress_of_part(path)
                )
                self._rows |= {row.chain: row for row in rows}
        self._tell(list(self._rows.values()))


def _waiting(chain_id: int, settings: Settings) -> ChainProgress:
    return ChainProgress(chain_id, "warmup", 0, settings.tune, np.nan, 0, 0, 0)
