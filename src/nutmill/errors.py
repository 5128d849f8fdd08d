"""Status codes of compiled code, the sentence for each, the exceptions raised at the edge, and where warnings point."""

import contextlib
import os
import sys
from enum import IntEnum
from pathlib import Path

_OURS = os.path.dirname(__file__)


class Status(IntEnum):
    """What a compiled function returns: 0 is fine, positive is a divergence, negative stops the chain."""

    OK = 0
    NON_FINITE = 1  # log density or gradient is NaN or infinite
    OP_RAISED = 2  # an op of the model failed: shapes that do not fit, an index, an assertion
    BAD_SHAPE = -1  # an array of the data record does not fit the model
    STEP_SIZE_NOT_FOUND = -2  # no step size was acceptable at the start
    NOT_RESUMABLE = -3  # the state does not belong to this model


SENTENCES = {
    Status.OK: "fine",
    Status.NON_FINITE: "the log density or its gradient is not finite at this point",
    Status.OP_RAISED: "an operation of the model failed at this point: shapes do not fit, an index lies outside of "
    "what it indexes, or a check that the model makes does not hold",
    Status.BAD_SHAPE: "the arrays of the data do not fit each other; check their lengths against the model",
    Status.STEP_SIZE_NOT_FOUND: "no step size between 1e-10 and 1e5 gives an acceptable first step; the "
    "density may be discontinuous, or the start is extreme: pass other initvals",
    Status.NOT_RESUMABLE: "the saved state belongs to another model or another version",
}

# What an index of the model raises in functions that PyTensor compiles; for those of nutmill it is `OP_RAISED`.
INDEX_OUT_OF_RANGE = "an index in the model is out of range"


class NutmillError(Exception):
    """Base class of everything that nutmill raises on purpose."""


class ModelError(NutmillError, ValueError):
    """The model, its data or its start cannot be sampled; the message names the variable and what to do."""


class ArgumentError(NutmillError, ValueError, TypeError):
    """An argument is unknown, of a wrong type or out of range; the message names it and says what to write."""


class SamplingError(NutmillError, RuntimeError):
    """A chain had to stop; the message carries the status sentence and the chain."""


class CheckpointError(NutmillError, RuntimeError):
    """The folder of a run cannot be used, written or joined with others; the message says what to do."""


class LayoutError(NutmillError, ValueError):
    """A CPU layout cannot be had here, or a profile or budget cannot be used; the message says what to do."""


def sentence(code: int) -> str:
    """Say what status `code` means; an unknown code is named rather than hidden."""
    try:
        return SENTENCES[Status(code)]
    except ValueError:
        return f"unknown status {code} (this is a bug in nutmill: please report it)"


def path_of(value: object, name: str, what: str = "a folder") -> Path:
    """Read an argument that is a path; raises ArgumentError, with the argument's name, if it is none."""
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str) or not path or "\0" in path:
        raise ArgumentError(f"{name} must be the path of {what}, not {value!r}.")
    return Path(path)


def first_line(error: BaseException) -> str:
    """The first line of what an error says: what follows is often of graphs and code that users have not written."""
    return next(iter(str(error).splitlines()), "")


def users_level() -> int:
    """Give the `stacklevel` with which a warning of the calling function names the user's line, not one of ours."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _is_within(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    return level


def _is_within(file: str) -> bool:
    # Functions of ours that are used in a `with` are called by the standard library.
    return file.startswith(_OURS) or file == contextlib.__file__
