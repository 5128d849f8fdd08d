"""A run folder belongs to one process at a time: a lock that names its owner, and outlives no process."""

import errno
import fcntl
import json
import os
import platform
import secrets
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from nutmill.checkpoint.form import PRINTABLE, Misfit, parsed, record, text, whole
from nutmill.errors import CheckpointError
from nutmill.files import NotPlain, open_plain, read_plain

# An owner on another host that has not been heard of for so long is taken for dead.
STALE_S = 300.0
_BEAT_S = 5.0
_OWNER = record({"host": text(PRINTABLE), "pid": whole(), "started": text(r"\d*")})
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


class FolderInUse(CheckpointError):
    """Another process that lives, or another thread, has the folder."""


class Owner(NamedTuple):
    """Which process has a folder."""

    host: str
    pid: int
    started: str  # of the process: a number may be used again

    def __str__(self):
        return f"process {self.pid} on {self.host}"


class FolderLock:
    """Holds a folder within a `with`.

    Raises FolderInUse on entering, if another process that lives, or another thread, has it.
    """

    def __init__(self, path: Path):
        self._path = path
        self._beaten_s = 0.0

    def __enter__(self) -> Self:
        self._descriptor = self._opened()
        try:
            self._take()
        except BaseException:
            os.close(self._descriptor)
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._is_there(self._descriptor):
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def beat(self) -> None:
        """Show other hosts that the owner lives; cheap enough to be called often."""
        now = time.monotonic()
        if now - self._beaten_s >= _BEAT_S:
            self._beaten_s = now
            os.utime(self._descriptor)

    def _opened(self) -> int:
        """Open and lock the file that is there under this name: another one may be about to remove it."""
        while True:
            descriptor = open_plain(self._path, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                owner = _read(descriptor)
                if error.errno not in _NO_LOCKS:
                    os.close(descriptor)
                if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                    raise in_use(self._path.parent, owner) from error
                if error.errno not in _NO_LOCKS:
                    raise
            if self._is_there(descriptor):
                return descriptor
            os.close(descriptor)

    def _is_there(self, descriptor: int) -> bool:
        """Whether the file that was opened is the one of this name."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(self._path))
        except FileNotFoundError:
            return False

    def _take(self) -> None:
        # The lock of the system may not reach other hosts, so what is written counts as well.
        owner = _read(self._descriptor)
        if owner is not None and is_alive(owner, self._path):
            raise in_use(self._path.parent, owner)
        content = json.dumps(this_process()._asdict()).encode()
        os.pwrite(self._descriptor, content, 0)
        os.ftruncate(self._descriptor, len(content))


def in_use(folder: Path, owner: Owner | None) -> FolderInUse:
    """Say who has a folder, None: somebody."""
    who = "another process" if owner is None else str(owner)
    if owner == this_process():
        who = "another run of this process"
    return FolderInUse(f"{folder} is in use by {who}: wait until that has ended, or take another folder.")


def this_process() -> Owner:
    """Tell who this process is."""
    return Owner(platform.node(), os.getpid(), _started(os.getpid()) or "")


def read_owner(path: Path) -> Owner | None:
    """Read whose a lock is, None if there is none or it is not readable."""
    try:
        return _parse(read_plain(path))
    except (FileNotFoundError, NotPlain):
        return None


def is_alive(owner: Owner, path: Path) -> bool:
    """Whether the owner that the lock at `path` names still runs, as far as this host can tell."""
    if owner.host == platform.node():
        return _started(owner.pid) == owner.started
    try:
        beaten = path.stat().st_mtime
    except FileNotFoundError:
        return False
    return _now_at(path.parent) - beaten < STALE_S


def _now_at(folder: Path) -> float:
    """Tell the time of the file system, whose clock may be another one's."""
    probe = folder / f".clock-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        os.close(open_plain(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except OSError:
        return time.time()
    try:
        return probe.stat().st_mtime
    finally:
        with suppress(OSError):
            probe.unlink()


def _started(pid: int) -> str | None:
    """Tell when a process of this host began, in ticks since boot; None if there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[19] if fields[0] not in "ZX" else None


def _read(descriptor: int) -> Owner | None:
    return _parse(os.pread(descriptor, 4096, 0))


def _parse(content: bytes) -> Owner | None:
    try:
        return Owner(**parsed(content, _OWNER))
    except Misfit:
        return None
