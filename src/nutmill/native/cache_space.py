"""How much the cache holds, and how much it may: lists its entries, and removes those that were used longest ago.

`NUTMILL_CACHE_LIMIT` says how much (bytes, or a number with K, M or G; 1G by default; 0 keeps nothing).
"""

import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nutmill.files import CODE_MODE, cache_folder, is_unfinished, open_plain, replace_file
from nutmill.native.cache_lock import MAKING, locked
from nutmill.native.container import Damaged, Header, unpack_header

_log = logging.getLogger("nutmill")

SUFFIX = ".entry"
_DEFAULT_LIMIT = "1G"
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_HEADER_BYTES = 1 << 20  # more than any header has
_LEFT_BEHIND_S = 3600.0  # no process takes as long to write a file
_NOTE = "size"  # a file: what the last look at all others found, and what came since
_LOOK_AGAIN_S = 24 * 3600.0  # others may have copied files into the folder
_FILLED = 0.9  # of the limit, after making room, so that a full cache is not looked at for every entry


class CachedEntry(NamedTuple):
    """An entry as the cache's owner sees it."""

    path: Path
    n_bytes: int
    used: float  # seconds since the epoch
    header: Header | None  # None: damaged, or of another version of nutmill


def limit_bytes() -> int:
    """How much the cache may hold, by `NUTMILL_CACHE_LIMIT`."""
    given = os.environ.get("NUTMILL_CACHE_LIMIT") or _DEFAULT_LIMIT
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?", given.strip(), re.IGNORECASE)
    if match:
        return int(float(match[1]) * _UNITS[match[2].upper()])
    _log.warning("NUTMILL_CACHE_LIMIT=%s is no size such as 500M: %s is used", given, _DEFAULT_LIMIT)
    return int(_DEFAULT_LIMIT[:-1]) * _UNITS[_DEFAULT_LIMIT[-1]]


def listing() -> list[CachedEntry]:
    """All entries, the one used last first."""
    found = [CachedEntry(path, status.st_size, status.st_mtime, _header(path)) for path, status in _entries()]
    return sorted(found, key=lambda entry: entry.used, reverse=True)


def prune(limit: int | None = None) -> int:
    """Remove what was used longest ago until the rest fits in `limit` bytes; returns how many entries went."""
    try:
        with locked(cache_folder()):
            return _prune(limit_bytes() if limit is None else limit)
    except OSError:
        return 0


def clear() -> int:
    """Remove every entry; returns how many there were."""
    return prune(-1)


def make_room(n_bytes: int, limit: int) -> None:
    """Prune after an entry was stored, if the cache may be full: to look at thousands of files takes a second."""
    size, looked = _noted_size()
    if size + n_bytes > limit or time.time() - looked > _LOOK_AGAIN_S:
        _prune(limit, max(int(_FILLED * limit), n_bytes))
    else:
        _note_size(size + n_bytes, looked)


def _prune(limit: int, target: int | None = None) -> int:
    """Remove entries until what is left has `target` bytes (default: `limit`), if there are more than `limit`."""
    now = time.time()
    for path, status in _files(lambda name: is_unfinished(name) or name.endswith(MAKING)):
        if now - status.st_mtime > _LEFT_BEHIND_S:
            _remove(path)
    entries = sorted(_entries(), key=lambda pair: pair[1].st_mtime_ns)
    total = sum(status.st_size for _, status in entries)
    if total > limit:
        limit = limit if target is None else target
    n_removed = 0
    for path, status in entries:
        if total <= limit:
            break
        n_removed += _remove(path)
        total -= status.st_size
    _note_size(total, now)
    return n_removed


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _noted_size() -> tuple[int, float]:
    """The bytes that the entries have, and when all of them were looked at; as if never, if there is no good note."""
    try:
        size, looked = (cache_folder() / _NOTE).read_text().split()
        return int(size), float(looked)
    except (OSError, ValueError):
        return 0, 0.0


def _note_size(size: int, looked: float) -> None:
    with suppress(OSError):  # the next store looks at all files
        replace_file(cache_folder() / _NOTE, f"{size} {looked:.0f}".encode(), sync=False, mode=CODE_MODE)


def _entries() -> list[tuple[Path, os.stat_result]]:
    return _files(lambda name: name.endswith(SUFFIX))


def _files(is_wanted: Callable[[str], bool]) -> list[tuple[Path, os.stat_result]]:
    found, folder = [], cache_folder()
    with suppress(OSError), os.scandir(folder) as places:
        for place in sorted(places, key=lambda one: one.name):
            with suppress(FileNotFoundError):  # another process prunes
                if is_wanted(place.name):
                    found.append((folder / place.name, place.stat(follow_symlinks=False)))
    return found


def _header(path: Path) -> Header | None:
    try:
        with os.fdopen(open_plain(path), "rb") as file:
            return unpack_header(file.read(_HEADER_BYTES))
    except (OSError, Damaged):
        return None
