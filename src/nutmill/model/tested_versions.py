"""The newest versions that nutmill was tested with, and a warning where what is installed is newer."""

import re
import warnings
from functools import cache
from importlib.metadata import version

from nutmill.errors import users_level

# The bounds in pyproject.toml, which an installation without dependencies passes by.
NEWEST = {"pytensor": "3.3.8", "numba": "0.68.0", "llvmlite": "0.50.0"}


@cache
def warn_of_newer() -> None:
    """Say once a process which of them are newer here."""
    newer = newer_than_tested({name: version(name) for name in NEWEST})
    if newer:
        warnings.warn(newer, stacklevel=users_level())


def newer_than_tested(installed: dict[str, str]) -> str | None:
    """Say which of the installed versions are newer than those tested, and what to do; None if none is."""
    newer = [name for name, tested in NEWEST.items() if _numbers(installed[name]) > _numbers(tested)]
    if not newer:
        return None
    older = " ".join(f"'{name}<={NEWEST[name]}'" for name in newer)
    listed = ", ".join(f"{name} {installed[name]} (tested: up to {NEWEST[name]})" for name in newer)
    return (
        f"nutmill was not tested with {listed}: if a model does not compile or looks wrong, "
        'compile it with lowering="numba", which takes none of nutmill\'s forms of operations, or install '
        f"{older}."
    )


def _numbers(text: str) -> tuple[int, ...]:
    """Return the release in a version, such as (3, 3, 8): what comes before letters, and after a plus, is left out."""
    release = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in release[0].split(".")) if release else ()
