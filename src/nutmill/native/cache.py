"""Keeps compiled code on disk, one file an entry, for many processes at once.

`NUTMILL_CACHE_DIR` says where (else `nutmill` in the user's cache folder), `NUTMILL_CACHE_LIMIT` how much.

A folder that is full, read-only, shared over NFS or deleted meanwhile costs time and nothing else. Readers see all of
an entry or none, because a file is written beside its place and renamed. What others than this user and root could
have written is not used.
"""

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from nutmill.files import (
    CODE_MODE,
    FOLDER_MODE,
    cache_folder,
    make_cache_folder,
    read_plain,
    replace_file,
    why_not_private,
)
from nutmill.native import cache_lock
from nutmill.native.cache_lock import locked
from nutmill.native.cache_space import SUFFIX, limit_bytes, make_room
from nutmill.native.container import Damaged, Entry, Header, pack, unpack

_log = logging.getLogger("nutmill")

_said: set[str] = set()  # what has been said of the folder, which is looked at for every entry


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
        with locked(path.parent) as alone:
            # The first of several processes that built the same wins: what others have loaded stays what it is.
            if not path.exists() or load(kind, key, environment) is None:
                replace_file(path, content, mode=CODE_MODE)
            if alone:
                make_room(len(content), limit)
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
    if found is not None:
        return found
    with one_maker(kind, key, lambda: _log.info("waiting for another process, which makes %s %s", kind, key)):
        found = load(kind, key, environment)
        if found is None:
            found = make()
            if may_keep():
                store(kind, key, environment, found)
    return found


def one_maker(kind: str, key: str, on_wait: Callable[[], object]) -> AbstractContextManager[None]:
    """Let one process alone make an entry in the `with`; others wait until it has, and should look there again.

    `on_wait` is called before a wait.
    """
    if limit_bytes() == 0:  # nothing would be there
        return nullcontext()
    with suppress(OSError):
        make_cache_folder()
    return cache_lock.one_maker(cache_folder(), f"{kind}-{key}", on_wait)


def _path(kind: str, key: str) -> Path:
    return cache_folder() / f"{kind}-{key}{SUFFIX}"


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
