"""Spares Python's garbage collector the objects that were there before: PyMC has many, none of them garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New objects between two looks for garbage; Python's own number is 700 or 2000, of which PyTensor makes dozens.
_SELDOM = 50_000


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Look for garbage seldom in this block, and only among objects that are made in it.

    Without this, a tenth to a fifth of a compile goes into collections: one of all objects takes 0.08 CPU s where PyMC
    has been imported, as much as all else that a known model takes.
    """
    thresholds = gc.get_threshold()
    # The user may have switched it off, or have frozen objects, which must stay so; so does a block around this one.
    if not gc.isenabled() or thresholds[0] == 0 or gc.get_freeze_count() > 0:
        yield
        return
    gc.freeze()
    gc.set_threshold(max(_SELDOM, thresholds[0]), *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
