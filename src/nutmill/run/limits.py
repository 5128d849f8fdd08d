"""When a run ends before its last draw: a time limit, or draws that are good enough."""

import math
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nutmill.errors import ModelError
from nutmill.native.mixing import Mixing

# What ends a run, beside the names of signals.
MAX_TIME, UNTIL, CALLED_OFF = "max_time", "until", "called_off"
# Draws of each chain at which they are first judged; later counts are multiples of it, each a fifth larger at least.
FIRST_COUNT = 100
_GROWTH = 1.2


class Until(NamedTuple):
    """What draws must reach to be enough, in every unconstrained value; None: whatever it is.

    Attributes
    ----------
    ess : float or None
        Least bulk effective sample size.
    rhat : float or None
        Largest R-hat.
    """

    ess: float | None = None
    rhat: float | None = None

    def is_met(self, found: Mixing) -> bool:
        """Tell whether all values mix well enough; NaN is never enough."""
        if self.rhat is not None and not (found.rhat <= self.rhat).all():
            return False
        return self.ess is None or bool((found.ess_bulk >= self.ess).all())


class Limits(NamedTuple):
    """Limits of one run.

    Attributes
    ----------
    max_time_s : float or None
        Seconds from the start of sampling, warmup included.
    until : Until or None
    """

    max_time_s: float | None = None
    until: Until | None = None


NO_LIMITS = Limits()


def checked_limits(max_time, until: Mapping[str, float] | None, *, chains: int, draws: int) -> Limits:
    """Check `max_time` and `until` as users give them.

    Raises
    ------
    ModelError
        If one has no meaning, or can never be met with the draws asked for.
    """
    if max_time is not None and not (_is_number(max_time) and max_time > 0):
        raise ModelError(f"max_time must be a number of seconds above 0, not {max_time!r}.")
    return Limits(max_time, None if not until else _checked_until(until, chains, draws))


def _checked_until(until, chains: int, draws: int) -> Until:
    if not isinstance(until, Mapping) or set(until) - set(Until._fields):
        raise ModelError(f'until must be a dict with "ess", "rhat" or both, not {until!r}.')
    for name, value in until.items():
        if not (_is_number(value) and value > 0):
            raise ModelError(f"until: {name} must be a number above 0, not {value!r}.")
    ess, rhat = until.get("ess"), until.get("rhat")
    if draws < FIRST_COUNT:
        raise ModelError(f"until can never be met by {draws} draws: they are first judged at {FIRST_COUNT}.")
    # ArviZ caps the effective sample size there, however antithetic chains are.
    most = chains * draws * math.log10(chains * draws)
    if ess is not None and ess > most:
        raise ModelError(
            f"until can never be met: {chains} chains of {draws} draws have an effective sample size of at most "
            f"{most:.0f}, below {ess:g}. Ask for more draws."
        )
    if rhat is not None and (rhat <= 1.0 or chains == 1):
        why = "one chain has no R-hat" if chains == 1 else f"R-hat comes near 1 from above, and {rhat:g} is not above"
        raise ModelError(f"until can never be met: {why}.")
    return Until(ess, rhat)


def _is_number(value) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def counts_to_judge(draws: int) -> list[int]:
    """Return the numbers of draws of each chain at which they are judged: 100, 200, 300, ... 1000, 1200, ..."""
    counts, count = [], FIRST_COUNT
    while count <= draws:
        counts.append(count)
        count = FIRST_COUNT * max(count // FIRST_COUNT + 1, math.ceil(_GROWTH * count / FIRST_COUNT))
    return counts


class Deadline:
    """Whether the time of a run is over."""

    def __init__(self, max_time_s: float | None):
        self._end_s = math.inf if max_time_s is None else time.monotonic() + max_time_s

    @property
    def left_s(self) -> float:
        """Seconds to the end, not below 0."""
        return max(0.0, self._end_s - time.monotonic())
