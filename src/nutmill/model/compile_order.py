"""Options of a compile, the lock by which one model is compiled at a time, and the clock of its steps.

Nothing here or in what leads from a known model to its code imports Numba, or PyTensor's Numba forms: half a second and
more.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import NamedTuple

from nutmill.native.processor import Target

# PyTensor's graphs and rewrites and Numba's compiler change process-wide state, such as the filters of warnings, and
# put it back: one model at a time.
COMPILING = RLock()

LOWERINGS = ("nutmill", "numba")  # see `lowering.ways`


class Order(NamedTuple):
    """How a model is to be compiled."""

    target: Target  # for which processors
    fuse: bool = True  # link the model into an object of its own; False: leave it in Numba's engine
    isolate: bool = False  # in a process of its own, see `build_apart`


@contextmanager
def stage(stages: dict[str, float], name: str) -> Iterator[None]:
    """Note how many seconds of CPU a block takes."""
    start = time.process_time()
    yield
    stages[name] = time.process_time() - start
