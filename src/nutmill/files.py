"""Files that are never half there: written beside their place, synced and renamed; and where the cache lies."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

TEMPORARY = ".tmp"  # ending of a file that is being written; one that is left behind belongs to a process that died


def cache_folder() -> Path:
    """Where nutmill keeps what it need not make twice: `NUTMILL_CACHE_DIR`, else ``nutmill`` in the user's cache."""
    given = os.environ.get("NUTMILL_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base) / "nutmill"


def replace_file(path: Path, content: bytes, *, sync: bool = True, mode: int = 0o664) -> None:
    """Write a file so that readers see all of it or none of it, also after a crash.

    Without `sync` that holds when the process is killed, not when the machine loses power; it waits for no disk.
    Its permissions are `mode`, as far as the user's umask lets it.

    Raises
    ------
    OSError
        If it cannot be written; what was there before still is.
    """
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
