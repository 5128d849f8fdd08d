"""When Python looks for garbage while nutmill works: seldom, never among what PyMC has made, and after large steps."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nutmill.model.graphs.graph import ModelGraph

# New objects between two looks for garbage; Python's own number is 700 or 2000, of which PyTensor makes dozens.
_SELDOM = 50_000
# With so many operations what a step leaves behind is worth the tenth of a second that finding it takes.
_MANY = 200
# After so many new objects, and as many as there were, all are looked through.
_ENOUGH = 500_000


class _Unlooked:
    """Objects that Python no longer counts: `gc.freeze` and `gc.unfreeze` let it forget how many are new."""

    def __init__(self) -> None:
        self._n_new = self._n_after = 0

    def add(self, n_new: int) -> None:
        """Count new objects."""
        self._n_new += n_new

    def look(self) -> None:
        """Look through all objects, if that is due: else many compiles would leave their garbage for good."""
        if self._n_new > max(_ENOUGH, self._n_after):
            gc.collect()
            self._n_new, self._n_after = 0, len(gc.get_objects())


_unlooked = _Unlooked()


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Look for garbage seldom in this block, and only among objects that are made in it; now and then among all after.

    Without this, a tenth to a fifth of a compile goes into collections: one of all objects takes 0.08 CPU s where PyMC
    has been imported, as much as all else that a known model takes.
    """
    thresholds = gc.get_threshold()
    # The user may have switched it off, or have frozen objects, which must stay so; so does a block around this one.
    if not gc.isenabled() or thresholds[0] == 0 or gc.get_freeze_count() > 0:
        yield
        return
    _unlooked.add(_n_counted(thresholds))
    gc.freeze()
    gc.set_threshold(max(_SELDOM, thresholds[0]), *thresholds[1:])
    try:
        yield
    finally:
        _unlooked.add(len(gc.get_objects()))  # without those that are frozen
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        _unlooked.look()


def _n_counted(thresholds: tuple[int, ...]) -> int:
    """Objects, about, that Python would have looked through at its next look at all."""
    counts = gc.get_count()
    return counts[0] + counts[1] * thresholds[0] + counts[2] * thresholds[0] * thresholds[1]


def tidy_up(graph: ModelGraph) -> None:
    """Free what a step of compiling a large model leaves behind: graphs are cycles, which wait for the collector."""
    # Here, because `import nutmill` brings this file, and must not bring PyTensor.
    from pytensor.graph.traversal import apply_ancestors

    outputs = [node.variable for node in graph.expanded.values()]
    outputs += [graph.logp] if graph.logp is not None else []
    if len(list(apply_ancestors(outputs))) >= _MANY:
        gc.collect()
