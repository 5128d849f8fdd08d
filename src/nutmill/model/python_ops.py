"""Finds operations of a model that run in Python, because PyTensor has no native form of them, and warns of them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from nutmill.errors import users_level

# A differential equation has all of its times among its properties.
_MAX_NAME = 60


@contextmanager
def naming_python_ops() -> Iterator[dict[str, None]]:
    """Collect the ops for which PyTensor announces that they run in the interpreter, each once, and warn of them."""
    python_ops: dict[str, None] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield python_ops
    for warning in caught:
        message = str(warning.message)
        if "object mode" in message:
            name = message.removeprefix("Numba will use object mode to run ").split("'s perform")[0]
            python_ops[short(name)] = None
    if python_ops:
        warnings.warn(
            f"nutmill: {', '.join(python_ops)} has no native implementation and runs in Python, once a gradient, "
            "with one chain at a time; write it with PyTensor's ops to have it compiled.",
            stacklevel=users_level(),
        )


def short(op: str) -> str:
    """Name an op without its properties where these are long."""
    return op if len(op) <= _MAX_NAME else op.split("{", 1)[0][:_MAX_NAME]
