"""Wall times of a run, over all the times that it was resumed."""

import time


class Clock:
    """Seconds on the wall: up to the last chain's end of warmup, and from there on."""

    def __init__(self):
        self._before = (0.0, 0.0)
        self._begin = time.perf_counter()
        self._warmup_end = self._begin
        self._end: float | None = None

    def resume(self, before: tuple[float, float]) -> None:
        """Count what earlier processes took for the same run: warmup, sampling."""
        self._before = before

    def end_warmup(self) -> None:
        """Take note that a group has ended its warmup."""
        self._warmup_end = time.perf_counter()

    def stop(self, is_sampling: bool) -> None:
        """Take note that all chains are at rest, and whether all have ended their warmup."""
        self._end = time.perf_counter()
        if not is_sampling:
            self._warmup_end = self._end

    @property
    def walls_s(self) -> tuple[float, float]:
        """Seconds of warmup and of sampling, up to now or to the stop."""
        end = time.perf_counter() if self._end is None else self._end
        return self._before[0] + self._warmup_end - self._begin, self._before[1] + end - self._warmup_end
