"""Files that are never half there: written beside their place, synced and renamed; and where the cache lies.

What is opened here is a plain file: no link leads elsewhere, and no pipe makes a process wait.
"""

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

TEMPORARY = ".tmp"  # ending of a file that is being written; one that is left behind belongs to a process that died
CODE_MODE, FOLDER_MODE = 0o644, 0o755  # code that a group may write is code that a group may make others run
_WRITTEN_BY_US = re.compile(r".+-\d+-[0-9a-f]{8}\.tmp")
_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISREG, "a file"),
    (stat.S_ISFIFO, "a pipe"),
    (lambda mode: True, "a device"),
)


class NotPlain(OSError):
    """There is something of this name, and it is no plain file."""


def kind_of(path: Path) -> str | None:
    """Say what lies under a name, without following it: "a file", "a folder", "a link"...; None: nothing."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    return next(kind for is_kind, kind in _KINDS if is_kind(mode))


def open_plain(path: Path, flags: int = os.O_RDONLY, *, follow: bool = False) -> int:
    """Open a plain file as `os.open` does; one that it makes may be read and written by whom the umask lets.

    Raises NotPlain if it is a folder, a pipe or the like, or, unless `follow`, a link; OSError if it cannot be opened.
    """
    # Who opens a pipe waits for whoever is at its other end.
    flags |= os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _not_plain(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_plain(path)
    return descriptor


def read_plain(path: Path, *, follow: bool = False) -> bytes:
    """Read a plain file; raises as `open_plain`."""
    with os.fdopen(open_plain(path, follow=follow), "rb") as file:
        return file.read()


def _not_plain(path: Path) -> NotPlain:
    return NotPlain(errno.EINVAL, f"it is {kind_of(path) or 'gone'}", str(path))


def cache_folder() -> Path:
    """Where nutmill keeps what it need not make twice: `NUTMILL_CACHE_DIR`, else ``nutmill`` in the user's cache."""
    given = os.environ.get("NUTMILL_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base) / "nutmill"


def why_not_private(place: Path) -> str | None:
    """Say why others could have made what lies here, and what to do; None if only its owner and root could.

    Of a folder it is told whether others may replace what is in it; of a link, whose it is.
    """
    status = place.lstat()
    if status.st_uid not in (os.getuid(), 0):
        return f"{place} belongs to another user; copy it"
    if stat.S_ISLNK(status.st_mode):  # whose own permissions mean nothing
        return None
    others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    keeps_names = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    return f"others may write {place}; `chmod go-w {place}`" if others and not keeps_names else None


def make_cache_folder(name: str = "") -> Path:
    """Make the folder of the cache, or one in it, which its owner alone may write; raises OSError if it cannot."""
    path = cache_folder() / name
    path.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    return path


def is_unfinished(name: str) -> bool:
    """Whether `replace_file` was writing a file of this name."""
    return _WRITTEN_BY_US.fullmatch(name) is not None


def replace_file(path: Path, content: bytes, *, sync: bool = True, mode: int = 0o664) -> None:
    """Write a file so that readers see all of it or none of it, also after a crash.

    Without `sync` that holds when the process is killed, not when the machine loses power; it waits for no disk. Its
    permissions are `mode`, as far as the user's umask lets it. Raises OSError if it cannot be written; what was there
    before still is. Raises NotPlain for a device: root's /dev/null would become a file.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        if stat.S_ISCHR(kind := path.stat().st_mode) or stat.S_ISBLK(kind):
            raise NotPlain(errno.EINVAL, "it is a device", str(path))
    temporary = path.with_name(f"{path.name}-{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if sync:
                os.fsync(handle)  # a full disk, or a server's, shows here and not after the rename
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
