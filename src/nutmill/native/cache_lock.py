"""Locks of a cache's folder. They only save work: one that was left behind may be broken, or waited for in vain."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nutmill.files import CODE_MODE, open_plain

_NAME = ".lock"
MAKING = ".making"  # ending of the lock of what is being made; one that is left behind belongs to a process that died
_WAIT_S, _LEFT_BEHIND_S = 5.0, 30.0
_LOOK_S, _LONGEST_S = 0.05, 600.0  # a large model compiles for minutes; a process may also have been halted


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock; gives False, after a while, if somebody else does not let go of it."""
    path, deadline = folder / _NAME, time.monotonic() + _WAIT_S
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
            if time.time() - path.stat().st_mtime > _LEFT_BEHIND_S:
                path.unlink()
        return False


@contextmanager
def one_maker(folder: Path, name: str, on_wait: Callable[[], object]) -> Iterator[None]:
    """Let the first process that makes something into the `with`, and all others once that has ended, all at once.

    A process that dies ends too. Where nothing can be locked nobody waits. `on_wait` is called before a wait.
    """
    path = folder / f".{name}{MAKING}"
    try:
        handle = open_plain(path, os.O_RDWR | os.O_CREAT)
    except OSError:
        yield
        return
    is_first = False  # also where Ctrl-C comes before it is known
    try:
        is_first = _is_locked_by_none(handle)
        if not is_first:
            on_wait()
            _wait(handle)
        yield
    finally:
        if is_first:
            with suppress(OSError):
                path.unlink()
            _let_go(handle)
        os.close(handle)


def _wait(handle: int) -> None:
    """Wait until nobody holds a lock; who waits with us may then hold it for a moment."""
    deadline = time.monotonic() + _LONGEST_S
    while not _is_locked_by_none(handle) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    _let_go(handle)


def _is_locked_by_none(handle: int) -> bool:
    """Take a lock, if nobody has it; whether that is so, or none can be had here."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _let_go(handle: int) -> None:
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_UN)  # a process that was forked meanwhile has the file open too
