"""Where commands print: text for people, and one JSON document for programs."""

import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# Tables in a file or a pipe are not squeezed into the 80 columns that nobody looks at.
_WIDTH_WITHOUT_TERMINAL = 132


def stdout_console() -> "Console":
    """Open the console of the results."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH_WITHOUT_TERMINAL
    return Console(width=width, highlight=False, soft_wrap=False)


def print_json(document: object) -> None:
    """Print a document of JSON on stdout."""
    print(json.dumps(document, indent=1))


def printable(name: object) -> str:
    """Write what others may have named without the characters that a terminal obeys."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(name))
