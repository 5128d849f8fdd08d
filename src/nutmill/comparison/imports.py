"""Tells how much of a piece of work was importing modules, wherever in it the imports stand."""

import sys
import threading
from collections.abc import Callable
from importlib import _bootstrap
from typing import Any, TypeVar

from nutmill.comparison.resources import Spent, now, timed

Result = TypeVar("Result")
bootstrap: Any = _bootstrap  # of which only some is declared


class ImportClock:
    """Counts, within a `with` block, the time of imports by the thread that entered it.

    Every import of a module that is not yet loaded, by a statement or by `importlib`, goes through one function of
    the import system (what `python -X importtime` reports as well); it is replaced as long as the block lasts. Modules
    that a module imports count once, with it.
    """

    def __init__(self):
        self.spent = Spent(0.0, 0.0)
        self._is_inside = False

    def __enter__(self) -> "ImportClock":
        self._thread, self._original = threading.get_ident(), bootstrap._find_and_load
        bootstrap._find_and_load = self._timed
        return self

    def __exit__(self, *exception: object) -> None:
        bootstrap._find_and_load = self._original

    def _timed(self, name, import_):
        if self._is_inside or name in sys.modules or threading.get_ident() != self._thread:
            return self._original(name, import_)
        self._is_inside, begin = True, now()
        try:
            return self._original(name, import_)
        finally:
            self._is_inside = False
            self.spent = self.spent.plus(now().minus(begin))


def timed_apart(work: Callable[[], Result]) -> tuple[Result, Spent, Spent]:
    """Do `work` and return its result, what it cost without the imports in it, and what those cost."""
    with ImportClock() as imports:
        result, spent = timed(work)
    return result, spent.minus(imports.spent), imports.spent
