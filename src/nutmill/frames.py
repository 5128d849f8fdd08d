"""Where in the user's code something is called: warnings point there, not at a line of nutmill's."""

import contextlib
import sys
from pathlib import Path

_OURS = str(Path(__file__).parent)


def users_level() -> int:
    """Give the `stacklevel` with which a warning of the calling function names the user's line."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _is_within(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    return level


def _is_within(file: str) -> bool:
    # Functions of ours that are used in a `with` are called by the standard library.
    return file.startswith(_OURS) or file == contextlib.__file__
