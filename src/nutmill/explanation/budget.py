"""How long may be measured, and what there was no time for."""

import math
import time

from nutmill.errors import ArgumentError
from nutmill.progress.stderr import announce
from nutmill.units import duration

BUDGET_S = 20.0


class Budget:
    """Seconds to be spent on measuring; `left_out` names what was not measured."""

    def __init__(self, seconds: float):
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0.0 < seconds < math.inf:
            raise ArgumentError(f"budget_s is a positive number of seconds, not {seconds!r}.")
        self._seconds = float(seconds)
        self._begin = time.perf_counter()
        self.left_out: list[str] = []

    def begin(self) -> None:
        """Count from now on."""
        self._begin = time.perf_counter()

    def allows(self, what: str, expected_s: float) -> bool:
        """Whether there is time for something that takes about so long; says what is measured next, or notes it."""
        spent = time.perf_counter() - self._begin
        if spent + expected_s > self._seconds:
            self.left_out.append(what)
            return False
        announce(f"Measuring {what} (after {duration(spent)} of {duration(self._seconds)})")
        return True
