"""The folder of a run: the request and its model, which process works in it, and where everything lies.

docs/run-folder.md describes the files.
"""

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nutmill.checkpoint.lock import FolderLock, in_use, is_alive, read_owner
from nutmill.checkpoint.manifest import (
    CHAINS,
    GROUPS,
    LOCK,
    PARTS,
    RESULT,
    SCHEMA,
    STARTS,
    check_names,
    has_begun,
    read_manifest,
    strange_names,
    write_manifest,
)
from nutmill.checkpoint.records import as_checkpoint_error, remove_unfinished, replace_state
from nutmill.errors import CheckpointError
from nutmill.files import is_unfinished, read_plain


class RunFolder:
    """A run folder that this process works in, within a `with`. Made by `create` and `open`."""

    def __init__(self, path: Path, manifest: Mapping[str, Any], every_s: float):
        self.path = path
        self.manifest = dict(manifest)
        self.every_s = every_s  # between two checkpoints
        self.last_saved_s: float | None = None  # seconds since 1970: when the newest checkpoint came to the disk
        self._lock = FolderLock(path / LOCK)

    @classmethod
    def create(cls, path: str | os.PathLike, facts: Mapping[str, Any], every_s: float = 60.0) -> Self:
        """Make a folder for a new run, at a path that is new or empty, or where no run has begun.

        `facts` are what is known of the run beside its settings (JSON): request, model, data, versions; `every_s` are
        the seconds between two checkpoints. Raises CheckpointError if the folder holds a run or something else, or
        cannot be written.
        """
        path = Path(path)
        make_folder(path)
        with as_checkpoint_error(path):
            check_names(path)
            if has_begun(path):
                owner = read_owner(path / LOCK)
                if owner is not None and is_alive(owner, path / LOCK):
                    raise in_use(path, owner)
                raise CheckpointError(
                    f"{path} holds a run already: go on with it by nutmill.resume({str(path)!r}), or take another "
                    "folder."
                )
            strange = [n for n in strange_names(path) if not n.startswith(".") and not is_unfinished(n)]
            if strange:
                raise CheckpointError(f"{path} holds other files ({strange[0]}): take a folder of its own for the run.")
            for name in (CHAINS, GROUPS):
                (path / name).mkdir(exist_ok=True)
        return cls(path, {"schema": SCHEMA, "files": {}, **facts}, every_s)

    @classmethod
    def open(cls, path: str | os.PathLike, every_s: float = 60.0) -> Self:
        """Open the folder of a run that has begun."""
        return cls(Path(path), read_manifest(path), every_s)

    def __enter__(self) -> Self:
        with as_checkpoint_error(self.path):
            self._lock.__enter__()
            for folder in (self.path, self.path / GROUPS):
                remove_unfinished(folder)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.__exit__(kind, error, trace)

    @property
    def chain_ids(self) -> list[int]:
        """Its chains."""
        return list(self.manifest["chain_ids"])

    @property
    def result_path(self) -> Path:
        """Folder for the arrays of the result."""
        path = self.path / RESULT
        with as_checkpoint_error(self.path):
            path.mkdir(exist_ok=True)
        return path

    def keep(self, name: str, content: bytes) -> None:
        """Put a file there that never changes again; the manifest, which is written later, has its digest."""
        with as_checkpoint_error(self.path):
            replace_state(self.path / name, content)
        self.manifest["files"] = {**self.manifest["files"], name: hashlib.sha256(content).hexdigest()}

    def kept(self, name: str) -> bytes:
        """Read such a file; raises CheckpointError if it is no longer what it was."""
        path = self.path / name
        try:
            content = read_plain(path)
        except OSError:
            content = b""
        if hashlib.sha256(content).hexdigest() != self.manifest["files"][name]:
            raise CheckpointError(f"{path} is damaged or gone: restore it from a copy, or sample again.")
        return content

    def record(self, settings: Mapping[str, Any], seed: int, chain_ids: list[int], n_dim: int) -> None:
        """Write the manifest of a run that begins: from here on it can be resumed."""
        self.manifest |= {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "settings": dict(settings),
            "seed": str(seed),
            "chain_ids": chain_ids,
            "n_dim": n_dim,
        }
        self._write_manifest()

    def change(self, settings: Mapping[str, Any]) -> None:
        """Write the manifest anew with another number of draws, which is all that may change."""
        request = {**self.manifest["request"], "draws": settings["draws"]}
        self.manifest |= {"settings": dict(settings), "request": request}
        self._write_manifest()

    def beat(self) -> None:
        """Show that the run lives."""
        self._lock.beat()

    def _write_manifest(self) -> None:
        with as_checkpoint_error(self.path):
            write_manifest(self.path, self.manifest)


def make_folder(path: Path) -> None:
    """Make a folder unless it is there: where that fails nothing was saved, and there is nothing to resume.

    Raises CheckpointError if it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise CheckpointError(f"{path} cannot be a run's folder ({why}): take another, or get access.") from error


def has_parts(manifest: Mapping[str, Any]) -> bool:
    """Whether the groups of a run are sampled apart."""
    return STARTS in manifest["files"]


def part_path(path: Path, chain_ids: Sequence[int]) -> Path:
    """Name the folder of a group."""
    return path / PARTS / f"{chain_ids[0]:05d}"


def check_chains(path: Path, chain_ids: Sequence[int], wanted: Sequence[int] | None) -> None:
    """Refuse a folder of other chains than those that are wanted, None: whatever there is."""
    if wanted is not None and list(wanted) != list(chain_ids):
        raise CheckpointError(
            f"{path} holds chains {list(chain_ids)} and should hold {list(wanted)}: put back the folder that was there."
        )
