"""The lock of a cache's folder. It only saves work, so that one that was left behind may be broken."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nutmill.files import CODE_MODE

_NAME = ".lock"
_WAIT_S, _LEFT_BEHIND_S = 5.0, 30.0


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
