"""The folder of a run: what was asked and of which model, who works in it, and where everything lies.

docs/run-folder.md describes the files.
"""

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from nutmill.errors import CheckpointError
from nutmill.files import TEMPORARY
from nutmill.nuts.state import START
from nutmill.run.adaptation import AdaptationState
from nutmill.run.clock import Clock
from nutmill.run.files import remove_unfinished, replace_state, telling
from nutmill.run.groups import Group, new_groups
from nutmill.run.keeper import CHAINS, GROUPS
from nutmill.run.keeping import Keeping
from nutmill.run.lock import FolderLock
from nutmill.run.results import Settings

_log = logging.getLogger("nutmill")

SCHEMA = 1
MANIFEST, LOCK, STATUS, MODEL = "manifest.json", "lock", "status.json", "model.nut"
ADAPTATION, RESULT = "adaptation.npz", "result"
# Of a run whose groups are sampled apart, by an executor: a run folder for each, where all chains start,
# and a file that is there while somebody waits for them.
PARTS, STARTS, RUNNING = "parts", "starts.npz", "running"
_OURS = {MANIFEST, LOCK, STATUS, MODEL, ADAPTATION, RESULT, CHAINS, GROUPS, PARTS, STARTS, RUNNING}


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
            if (path / MANIFEST).exists():
                raise CheckpointError(
                    f"{path} holds a run already: go on with it by nutmill.resume({str(path)!r}), or take another "
                    "folder."
                )
            strange = {entry.name for entry in path.iterdir()} - _OURS
            if any(not name.startswith(".") and not name.endswith(TEMPORARY) for name in strange):
                raise CheckpointError(
                    f"{path} holds other files ({min(strange)}): take a folder of its own for the run."
                )
            for name in (CHAINS, GROUPS):
                (path / name).mkdir(exist_ok=True)
        return cls(path, {"schema": SCHEMA, **facts}, every_s)

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
        path.mkdir(exist_ok=True)
        return path

    def begin(self, groups: Sequence[Group], settings: Settings, seed: int, adaptation: AdaptationState | None) -> None:
        """Save the start of all chains, and then the manifest: from here on the run can be resumed."""
        with telling(self.path):
            if adaptation is not None:
                adaptation.save(self.path / ADAPTATION)
            for group in groups:
                group.keeper.open()
                group.keeper.begin_cut()
                cuts = [group.keeper.at_rest(chain) for chain in range(len(group.chain_ids))]
                group.keeper.save(cuts[-1], {})
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
        """Write the manifest anew with other settings."""
        self.manifest["settings"] = settings._asdict()
        self._write_manifest()

    def load(self, groups: Sequence[Group], settings: Settings, clock: Clock) -> None:
        """Give groups their newest saved states, and take note of new settings."""
        with telling(self.path):
            for group in groups:
                if not group.keeper.load():
                    _log.warning(
                        "The newest checkpoint of chains %s is damaged: the one before is used.", group.chain_ids
                    )
                if group.phase == START and (self.path / ADAPTATION).exists():
                    group.adaptation = AdaptationState.load(self.path / ADAPTATION).of_chains(group.chain_ids)
                group.cpu_s = list(group.keeper.facts.get("cpu_s", group.cpu_s))
                group.keeper.open()
            walls_s = [group.keeper.facts.get("walls_s", (0.0, 0.0)) for group in groups]
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
        replace_state(self.path / MANIFEST, json.dumps(self.manifest, indent=1).encode())


def has_begun(path: str | os.PathLike) -> bool:
    """Whether a folder holds a run that can be resumed."""
    return (Path(path) / MANIFEST).exists()


def read_manifest(path: str | os.PathLike) -> dict[str, Any]:
    """Read what a folder says of its run.

    Raises
    ------
    CheckpointError
        If it holds none, or one that another version of nutmill has written.
    """
    path = Path(path)
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(f"{path} holds no run that has begun: there is nothing to resume.") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CheckpointError(f"{path / MANIFEST} is damaged: restore it from a copy, or sample again.") from error
    if manifest.get("schema") != SCHEMA:
        raise CheckpointError(
            f"{path} was written by nutmill {manifest.get('versions', {}).get('nutmill', 'of another version')}, in a "
            "form that this version does not read: resume it with that version."
        )
    return manifest


def read_groups(path: str | os.PathLike) -> list[Group]:
    """Read the newest states of all groups of a run, and open what its chains drew, without working in its folder."""
    manifest = read_manifest(path)
    if (Path(path) / STARTS).exists():
        parts = sorted(part for part in (Path(path) / PARTS).iterdir() if has_begun(part))
        if not parts:
            raise CheckpointError(f"No chain of {path} has begun: there is nothing to read yet.")
        return [group for part in parts for group in read_groups(part)]
    points = np.zeros((len(manifest["chain_ids"]), manifest["n_dim"]))
    settings, seed = Settings(**manifest["settings"]), int(manifest["seed"])
    groups, *_ = new_groups([], points, settings, seed, manifest["chain_ids"], folder=Path(path))
    for group in groups:
        group.keeper.load()
        group.cpu_s = list(group.keeper.facts.get("cpu_s", group.cpu_s))
    return groups
