"""The folder of a run: what was asked and of which model, who works in it, and where everything lies.

docs/run-folder.md describes the files.
"""

import hashlib
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from nutmill.checkpoint.group import begun_with, check_begun
from nutmill.checkpoint.lock import FolderLock
from nutmill.checkpoint.manifest import (
    ADAPTATION,
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
from nutmill.checkpoint.records import remove_unfinished, replace_state, telling
from nutmill.errors import CheckpointError
from nutmill.files import is_unfinished, read_plain
from nutmill.nuts.state import START
from nutmill.run.adaptation import AdaptationState
from nutmill.run.checkpoints import Keeping
from nutmill.run.clock import Clock
from nutmill.run.groups import Group, new_groups, split_into_groups
from nutmill.run.run import NativeModel, Settings

_log = logging.getLogger("nutmill")


class RunFolder:
    """A run folder that this process works in, within a `with`. Made by `create` and `open`.

    Attributes
    ----------
    path : Path
    manifest : dict
        Content of manifest.json.
    every_s : float
        Seconds between two checkpoints.
    last_saved_s : float or None
        When the newest checkpoint came to the disk, in seconds since 1970.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any], every_s: float):
        self.path = path
        self.manifest = dict(manifest)
        self.every_s = every_s
        self.last_saved_s: float | None = None
        self._lock = FolderLock(path / LOCK)

    @classmethod
    def create(cls, path: str | os.PathLike, facts: Mapping[str, Any], every_s: float = 60.0) -> Self:
        """Make a folder for a new run.

        Parameters
        ----------
        path
            A new or empty folder, or one whose run had not begun.
        facts
            What is known of the run beside its settings (JSON): model, data, versions.
        every_s
            Seconds between two checkpoints.

        Raises
        ------
        CheckpointError
            If the folder holds a run or something else, or cannot be written.
        """
        path = Path(path)
        with telling(path):
            path.mkdir(parents=True, exist_ok=True)
            check_names(path)
            if has_begun(path):
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
        with telling(self.path):
            self._lock.__enter__()
            for folder in (self.path, self.path / GROUPS):
                remove_unfinished(folder)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.__exit__(kind, error, trace)

    @property
    def settings(self) -> Settings:
        """What the run was asked."""
        return Settings(**self.manifest["settings"])

    @property
    def seed(self) -> int:
        """Its seed."""
        return int(self.manifest["seed"])

    @property
    def chain_ids(self) -> list[int]:
        """Its chains."""
        return list(self.manifest["chain_ids"])

    @property
    def result_path(self) -> Path:
        """Folder for the arrays of the result."""
        path = self.path / RESULT
        with telling(self.path):
            path.mkdir(exist_ok=True)
        return path

    def keep(self, name: str, content: bytes) -> None:
        """Put a file there that never changes again; the manifest, which is written later, has its digest."""
        with telling(self.path):
            replace_state(self.path / name, content)
        self.manifest["files"] = {**self.manifest["files"], name: hashlib.sha256(content).hexdigest()}

    def kept(self, name: str) -> bytes:
        """Read such a file.

        Raises
        ------
        CheckpointError
            If it is no longer what it was.
        """
        path = self.path / name
        try:
            content = read_plain(path)
        except OSError:
            content = b""
        if hashlib.sha256(content).hexdigest() != self.manifest["files"][name]:
            raise CheckpointError(f"{path} is damaged or gone: restore it from a copy, or sample again.")
        return content

    @property
    def adaptation(self) -> AdaptationState | None:
        """The adaptation state that the run was given."""
        if ADAPTATION not in self.manifest["files"]:
            return None
        state = AdaptationState.from_bytes(self.kept(ADAPTATION), self.path / ADAPTATION)
        state.check(self.manifest["n_dim"])
        return state

    def begin(self, groups: Sequence[Group], settings: Settings, seed: int, adaptation: AdaptationState | None) -> None:
        """Save the start of all chains, and then the manifest: from here on the run can be resumed."""
        with telling(self.path):
            if adaptation is not None:
                self.keep(ADAPTATION, adaptation.to_bytes())
            for group in groups:
                group.files.open()
                group.files.begin_cut()
                for chain in range(len(group.chain_ids)):
                    if (cut := group.files.at_rest(chain)) is not None:  # after the last of them
                        group.files.save(cut, {})
            chain_ids = [chain_id for group in groups for chain_id in group.chain_ids]
            self.record(settings, seed, chain_ids, groups[0].state.position.shape[1])

    def record(self, settings: Settings, seed: int, chain_ids: list[int], n_dim: int) -> None:
        """Write the manifest of a run that begins."""
        self.manifest |= {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "settings": settings._asdict(),
            "seed": str(seed),
            "chain_ids": chain_ids,
            "n_dim": n_dim,
        }
        self._write_manifest()

    def change(self, settings: Settings) -> None:
        """Write the manifest anew with another number of draws, which is all that may change."""
        asked = {**self.manifest["asked"], "draws": settings.draws}
        self.manifest |= {"settings": settings._asdict(), "asked": asked}
        self._write_manifest()

    def groups(self, natives: Sequence[NativeModel], settings: Settings) -> tuple[list[Group], np.ndarray, np.ndarray]:
        """Make the groups that `load` fills, as `new_groups` does; raises CheckpointError if settings are others."""
        return _groups_in(self.path, self.manifest, settings, natives)

    def load(self, groups: Sequence[Group], settings: Settings, clock: Clock) -> None:
        """Give groups their newest saved states, and take note of new settings."""
        with telling(self.path):
            for group in groups:
                if not group.files.load():
                    _log.warning(
                        "The newest checkpoint of chains %s is damaged: the one before is used.", group.chain_ids
                    )
                if group.phase == START and (adaptation := self.adaptation) is not None:
                    group.adaptation = adaptation.of_chains(group.chain_ids)
                group.cpu_s = list(group.files.facts.get("cpu_s", group.cpu_s))
                group.files.open()
            walls_s = [group.files.facts.get("walls_s", (0.0, 0.0)) for group in groups]
            clock.resume(max(walls_s, key=sum))
            self.change(settings)

    def keeping(self, groups: Sequence[Group], clock: Clock) -> Keeping:
        """Make what takes checkpoints while the run goes on."""

        def facts(group: Group) -> dict:
            return {"cpu_s": group.cpu_s, "walls_s": clock.walls_s}

        def on_saved() -> None:
            self.last_saved_s = time.time()

        return Keeping(groups, self.every_s, facts, on_saved)

    def beat(self) -> None:
        """Show that the run lives."""
        self._lock.beat()

    def _write_manifest(self) -> None:
        with telling(self.path):
            write_manifest(self.path, self.manifest)


def has_parts(manifest: Mapping[str, Any]) -> bool:
    """Whether the groups of a run are sampled apart."""
    return STARTS in manifest["files"]


def part_path(path: Path, chain_ids: Sequence[int]) -> Path:
    """Name the folder of a group."""
    return path / PARTS / f"{chain_ids[0]:05d}"


def read_groups(path: str | os.PathLike, of_chains: Sequence[int] | None = None) -> list[Group]:
    """Read the newest states of all groups of a run, and open what its chains drew, without working in its folder.

    Raises
    ------
    CheckpointError
        If it holds no run that can be read, or not one of just the chains that are named.
    """
    path, manifest = Path(path), read_manifest(path)
    chain_ids = manifest["chain_ids"]
    check_chains(path, chain_ids, of_chains)
    if has_parts(manifest):
        parts = {part_path(path, chain_ids[part]): chain_ids[part] for part in split_into_groups(chain_ids)}
        found = [read_groups(part, ids) for part, ids in parts.items() if has_begun(part)]
        if not found:
            raise CheckpointError(f"No chain of {path} has begun: there is nothing to read yet.")
        return [group for groups in found for group in groups]
    groups, *_ = _groups_in(path, manifest, Settings(**manifest["settings"]), [])
    for group in groups:
        group.files.load()
        group.cpu_s = list(group.files.facts.get("cpu_s", group.cpu_s))
    return groups


def check_chains(path: Path, chain_ids: Sequence[int], wanted: Sequence[int] | None) -> None:
    """Refuse a folder of other chains than those that are wanted, None: whatever there is."""
    if wanted is not None and list(wanted) != list(chain_ids):
        raise CheckpointError(
            f"{path} holds chains {list(chain_ids)} and should hold {list(wanted)}: put back the folder that was there."
        )


def _groups_in(
    path: Path, manifest: Mapping[str, Any], settings: Settings, natives: Sequence[NativeModel]
) -> tuple[list[Group], np.ndarray, np.ndarray]:
    """Make groups for the states in a folder, once these say that they were made with these settings."""
    n_dim, seed, chain_ids = manifest["n_dim"], int(manifest["seed"]), manifest["chain_ids"]
    for part in split_into_groups(chain_ids):
        check_begun(path, chain_ids[part], begun_with(settings, seed, n_dim))
    if natives and natives[0].n_dim != n_dim:
        raise CheckpointError(
            f"{path} is a run of another model: {n_dim} unconstrained values there, {natives[0].n_dim} here."
        )
    return new_groups(natives, np.zeros((len(chain_ids), n_dim)), settings, seed, chain_ids, folder=path)
