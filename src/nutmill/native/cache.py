"""Keeps compiled code on disk, one file an entry, for many processes at once.

`NUTMILL_CACHE_DIR` says where (else `nutmill` in the user's cache folder), `NUTMILL_CACHE_LIMIT` how much (bytes, or
a number with K, M or G; 1G by default; 0 keeps nothing). What was used longest ago goes first.

A folder that is full, read-only, shared over NFS or deleted meanwhile costs time and nothing else. Readers see all of
an entry or none, because a file is written beside its place and renamed. The lock only saves work, so that one that
was left behind may be broken. What others than this user and root could have written is not used.
"""

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from nutmill.files import (
    CODE_MODE,
    FOLDER_MODE,
    cache_folder,
    is_unfinished,
    make_cache_folder,
    open_plain,
    read_plain,
    replace_file,
    why_not_private,
)
from nutmill.native.container import Damaged, Entry, Header, pack, unpack, unpack_header

_log = logging.getLogger("nutmill")

_SUFFIX, _LOCK = ".entry", ".lock"
_DEFAULT_LIMIT = "1G"
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_HEADER_BYTES = 1 << 20  # more than any header has
_LEFT_BEHIND_S = 3600.0  # no process takes as long to write a file
_SIZE = "size"  # a file: what the last look at all others found, and what came since
_LOOK_AGAIN_S = 24 * 3600.0  # others may have copied files into the folder
_FILLED = 0.9  # of the limit, after making room, so that a full cache is not looked at for every entry
_LOCK_WAIT_S, _LOCK_AGE_S = 5.0, 30.0
_said: set[str] = set()  # what has been said of the folder, which is looked at for every entry


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


def load(kind: str, key: str, environment: Mapping[str, str]) -> Entry | None:
    """Find an entry, and note that it was used; None if there is none that can be trusted.

    Parameters
    ----------
    kind, key
        Under which it was stored.
    environment
        Versions and processor for which code must have been made to run here.
    """
    path = _path(kind, key)
    try:
        if not _is_private(path.parent):
            return None
        content = _read(path)
        header, parts = unpack(content)
        _check(header, kind, key, environment)
    except FileNotFoundError:
        return None
    except (OSError, Damaged) as error:
        _log.warning("%s is not used and will be rebuilt: %s", path, error)
        return None
    with suppress(OSError):  # a read-only cache is never pruned either
        os.utime(path)
    return Entry(header.manifest, parts)


def store(kind: str, key: str, environment: Mapping[str, str], entry: Entry, about: str = "") -> bool:
    """Keep an entry, unless there is a good one already; False if it could not be kept, which the log explains."""
    content = pack(Header(kind, key, dict(environment), about, entry.manifest, []), entry.parts)
    limit = limit_bytes()
    if len(content) > limit:
        _log.info("%s %s is not kept: it has %d bytes and NUTMILL_CACHE_LIMIT is %d", kind, key, len(content), limit)
        return False
    path = _path(kind, key)
    try:
        make_cache_folder()
        if not _is_private(path.parent):
            return False
        with _locked(path.parent) as alone:
            # The first of several processes that built the same wins: what others have loaded stays what it is.
            if not path.exists() or load(kind, key, environment) is None:
                replace_file(path, content, mode=CODE_MODE)
            if alone:
                _make_room(len(content), limit)
    except OSError as error:
        _log.info("%s %s is not kept in %s: %s", kind, key, path.parent, error)
        return False
    return True


def recall(
    kind: str,
    key: str,
    environment: Mapping[str, str],
    make: Callable[[], Entry],
    *,
    may_keep: Callable[[], bool],
) -> Entry:
    """Load an entry, or make it, and store it if `may_keep` says so afterwards."""
    found = load(kind, key, environment)
    if found is None:
        found = make()
        if may_keep():
            store(kind, key, environment, found)
    return found


def listing() -> list[CachedEntry]:
    """All entries, the one used last first."""
    found = [CachedEntry(path, status.st_size, status.st_mtime, _peek(path)) for path, status in _entries()]
    return sorted(found, key=lambda stored: stored.used, reverse=True)


def prune(limit: int | None = None) -> int:
    """Remove what was used longest ago until the rest fits in `limit` bytes; returns how many entries went."""
    try:
        with _locked(cache_folder()):
            return _prune(limit_bytes() if limit is None else limit)
    except OSError:
        return 0


def clear() -> int:
    """Remove every entry; returns how many there were."""
    return prune(-1)


def _path(kind: str, key: str) -> Path:
    return cache_folder() / f"{kind}-{key}{_SUFFIX}"


def _check(header: Header, kind: str, key: str, environment: Mapping[str, str]) -> None:
    if (header.kind, header.key) != (kind, key):
        raise Damaged("it is another entry under this name")
    if header.environment != dict(environment):
        names = sorted(environment.keys() | header.environment.keys())
        others = [name for name in names if header.environment.get(name) != environment.get(name)]
        raise Damaged(f"it was made for another {', '.join(others)}")


def _read(path: Path) -> bytes:
    """Read a file that nobody else could have written."""
    if reason := why_not_private(path):
        raise Damaged(reason.partition(";")[0])
    return read_plain(path)


def _is_private(folder: Path) -> bool:
    """Whether others cannot replace what lies in the folder; the log says once if they can."""
    folder = Path(os.path.realpath(folder))
    reason = why_not_private(folder)
    if reason is not None and not os.environ.get("NUTMILL_CACHE_DIR"):
        with suppress(OSError):  # nothing but this cache is in the usual folder, whatever the umask was
            folder.chmod(FOLDER_MODE)
            reason = why_not_private(folder)
    if reason is not None and reason not in _said:
        _said.add(reason)
        _log.warning("Nothing is kept in or taken from the cache: %s, or name another by NUTMILL_CACHE_DIR.", reason)
    return reason is None


@contextmanager
def _locked(where: Path) -> Iterator[bool]:
    """Hold the folder's lock; gives False, after a while, if somebody else does not let go of it."""
    path, deadline = where / _LOCK, time.monotonic() + _LOCK_WAIT_S
    while not (alone := _take(path)) and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield alone
    finally:
        if alone:
            with suppress(OSError):
                path.unlink()


def _take(path: Path) -> bool:
    """Make the lock file, which only one process can, on NFS too; break one whose owner must be dead."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, CODE_MODE))
        return True
    except FileExistsError:
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _LOCK_AGE_S:
                path.unlink()
        return False


def _entries() -> list[tuple[Path, os.stat_result]]:
    return _files(lambda name: name.endswith(_SUFFIX))


def _files(is_wanted: Callable[[str], bool]) -> list[tuple[Path, os.stat_result]]:
    found, folder = [], cache_folder()
    with suppress(OSError), os.scandir(folder) as places:
        for place in sorted(places, key=lambda one: one.name):
            with suppress(FileNotFoundError):  # another process prunes
                if is_wanted(place.name):
                    found.append((folder / place.name, place.stat(follow_symlinks=False)))
    return found


def _peek(path: Path) -> Header | None:
    try:
        with os.fdopen(open_plain(path), "rb") as file:
            return unpack_header(file.read(_HEADER_BYTES))
    except (OSError, Damaged):
        return None


def _make_room(n_bytes: int, limit: int) -> None:
    """Prune after an entry was stored, if the cache may be full: to look at thousands of files takes a second."""
    size, looked = _noted_size()
    if size + n_bytes > limit or time.time() - looked > _LOOK_AGAIN_S:
        _prune(limit, max(int(_FILLED * limit), n_bytes))
    else:
        _note_size(size + n_bytes, looked)


def _prune(limit: int, target: int | None = None) -> int:
    """Remove entries until what is left has `target` bytes (default: `limit`), if there are more than `limit`."""
    now = time.time()
    for path, status in _files(is_unfinished):
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


def _noted_size() -> tuple[int, float]:
    """The bytes that the entries have, and when all of them were looked at; as if never, if there is no good note."""
    try:
        size, looked = (cache_folder() / _SIZE).read_text().split()
        return int(size), float(looked)
    except (OSError, ValueError):
        return 0, 0.0


def _note_size(size: int, looked: float) -> None:
    with suppress(OSError):  # the next store looks at all files
        replace_file(cache_folder() / _SIZE, f"{size} {looked:.0f}".encode(), sync=False, mode=CODE_MODE)


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
