"""PyTensor's Numba form of an operation that has none of nutmill's, and a note of which ones these are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pytensor.graph.basic import Apply
from pytensor.link.numba.dispatch.basic import numba_funcify

_noted: ContextVar[dict[str, None] | None] = ContextVar("noted", default=None)


@contextmanager
def noting_foreign() -> Iterator[dict[str, None]]:
    """Collect the names of operations that PyTensor's forms write in this block, as keys."""
    names: dict[str, None] = {}
    token = _noted.set(names)
    try:
        yield names
    finally:
        _noted.reset(token)


def foreign_form(node: Apply) -> Callable:
    """Give PyTensor's Numba form of a node."""
    kind, names = type(node.op), _noted.get()
    if names is not None and kind.__module__.partition(".")[0] != "nutmill":  # which has forms in that registry, too
        names[kind.__name__] = None
    return numba_funcify(node.op, node=node)
