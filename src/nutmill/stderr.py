"""What is said to the user on stderr, which may be full, closed or without a reader: words are lost then, no run."""

import sys
from contextlib import suppress


def say(line: str) -> None:
    """Print a line on stderr as it is now, where that can be done."""
    if sys.stderr is not None:
        with unheard():
            print(line, file=sys.stderr, flush=True)


def is_terminal() -> bool:
    """Whether stderr is a terminal."""
    with unheard():
        return sys.stderr is not None and sys.stderr.isatty()
    return False


def unheard() -> suppress:
    """Go on after a `with` whose words could not be written; `logging` itself stumbles over a stderr that is closed."""
    return suppress(OSError, ValueError)
