"""The files of one machine, this one or a recorded one, and the log of what was read from them."""

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Reading(NamedTuple):
    """One fact about the machine and where it came from."""

    name: str  # what was read, such as ``"quota"``; a name may occur more than once
    value: object  # None: it could not be read, or there is no such thing here; `source` says why
    source: str  # the path or the variable, as the machine itself names it


# More than any machine has; a damaged file must not make us count to a billion.
_MOST_CPUS = 1 << 16
# Enough for the first processor of /proc/cpuinfo and for any list of hosts; no file can make us read for long.
_MOST_BYTES = 1 << 20


class Machine:
    """Reads below a root folder. Nothing raises: what cannot be read is None, and `readings` can say so.

    The arguments are those of `topology`.
    """

    def __init__(
        self, root: str | Path, environ: Mapping[str, str] | None = None, affinity: Collection[int] | None = None
    ):
        self._root = str(Path(root)).rstrip("/")
        self.is_this_one = Path(root) == Path("/")
        self.readings: list[Reading] = []
        self.environ = self._environ() if environ is None else environ
        self.affinity, self.affinity_source = (
            self._affinity() if affinity is None else (frozenset(affinity), "argument")
        )

    def text(self, path: str, most_bytes: int = _MOST_BYTES) -> str | None:
        """Give what a file holds, without blanks around it; None where it cannot be read."""
        try:
            with open(self._root + path, "rb", buffering=0) as file:
                # A file in /proc gives a page at a time.
                content = b""
                while len(content) < most_bytes and (block := file.read(most_bytes - len(content))):
                    content += block
        except (OSError, ValueError):  # ValueError: a null byte in a path that a variable holds
            return None
        return content.decode(errors="replace").strip()

    def names(self, path: str) -> list[str]:
        """Give the sorted names in a folder; none where there is no such folder."""
        try:
            return sorted(os.listdir(self._root + path))
        except (OSError, ValueError):
            return []

    def is_folder(self, path: str) -> bool:
        """Say whether there is such a folder."""
        return os.path.isdir(self._root + path)

    def cpus(self, name: str, path: str) -> frozenset[int] | None:
        """Read a list of CPUs; a damaged one is noted under `name` and is None."""
        return self._read(name, path, cpus_from_text)

    def number(self, name: str, path: str) -> int | None:
        """Read a whole number; a damaged one is noted under `name` and is None."""
        return self._read(name, path, int)

    def _read(self, name: str, path: str, read: Callable[[str], T]) -> T | None:
        text = self.text(path)
        if text is None:
            return None
        try:
            return read(text)
        except ValueError:
            self.damaged(name, path, text)
            return None

    def note(self, name: str, value: object, source: str) -> None:
        """Add a reading."""
        self.readings.append(Reading(name, value, source))

    def damaged(self, name: str, source: str, text: str) -> None:
        """Add a reading that says that `source` holds something else than it should."""
        self.note(name, None, f"{source} holds {text[:40]!r}")

    def _environ(self) -> Mapping[str, str]:
        if self.is_this_one:
            return os.environ
        entries = (self.text("/proc/self/environ") or "").split("\0")
        return dict(entry.split("=", 1) for entry in entries if "=" in entry)

    def _affinity(self) -> tuple[frozenset[int] | None, str]:
        if self.is_this_one and hasattr(os, "sched_getaffinity"):
            return frozenset(os.sched_getaffinity(0)), "sched_getaffinity"
        source = "/proc/self/status"
        for line in (self.text(source) or "").splitlines():
            name, _, text = line.partition(":")
            if name == "Cpus_allowed_list":
                try:
                    return cpus_from_text(text), source
                except ValueError:
                    self.damaged("affinity", source, text.strip())
        return None, source


def cpus_from_text(text: str) -> frozenset[int]:
    """Read a list such as ``0-3,8``; an empty text is an empty set.

    Raises ValueError if the text is no list of CPUs.
    """
    cpus: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, dash, last = part.partition("-")
        begin, end = _cpu(first), _cpu(last if dash else first)
        if begin > end:
            raise ValueError(f"{part!r} is no range of CPUs")
        cpus.update(range(begin, end + 1))
    return frozenset(cpus)


def _cpu(digits: str) -> int:
    digits = digits.strip()
    if not (digits.isascii() and digits.isdigit()) or int(digits) >= _MOST_CPUS:
        raise ValueError(f"{digits!r} is no CPU")
    return int(digits)
