"""What may end a run before its last draw: enough draws, a call from elsewhere, a signal, the end of its time."""

from collections.abc import Callable
from typing import NamedTuple

from nutmill.run.ending import CALLED_OFF, MAX_TIME, UNTIL, Deadline
from nutmill.run.judge import Judge
from nutmill.run.signals import StopSignals


class Watch(NamedTuple):
    """What may end a run before its last draw, and how often to look."""

    signals: StopSignals
    deadline: Deadline
    judge: Judge
    interval_s: float
    is_called_off: Callable[[], bool] | None

    @property
    def verdict(self) -> str | None:
        """Name of what ends the run now."""
        if self.judge.n_enough is not None:
            return UNTIL
        if self.is_called_off is not None and self.is_called_off():
            return CALLED_OFF
        return self.signals.caught or (MAX_TIME if self.deadline.left_s == 0.0 else None)
