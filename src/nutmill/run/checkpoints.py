"""A run and its folder: what begins there or goes on from there, and the thread that saves it while it goes on."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from nutmill.checkpoint.folder import RunFolder, check_chains, has_parts, part_path
from nutmill.checkpoint.group_keeper import begun_with, check_begun
from nutmill.checkpoint.manifest import ADAPTATION, has_begun, read_manifest
from nutmill.checkpoint.records import as_checkpoint_error
from nutmill.errors import CheckpointError
from nutmill.nuts.state import START
from nutmill.run.adaptation import AdaptationState
from nutmill.run.groups import Group, new_groups, split_into_groups
from nutmill.run.run import Clock, NativeModel, Settings

_log = logging.getLogger("nutmill")

_SHORTEST_S = 0.01


class Starts(NamedTuple):
    """A new run: where its chains start."""

    positions: np.ndarray  # (chains, n_dim) float64: density and gradient must be finite there
    # Not negative. The draws of a chain depend on it, the chain's id, the size of its group, density, data and
    # settings, and on nothing else.
    seed: int
    chain_ids: Sequence[int] | None = None  # Increasing; by default 0, 1, ... Chains 4g to 4g + 3 form a group.
    # Metric and step sizes to begin with. The positions are not taken from it.
    adaptation: AdaptationState | None = None
    folder: RunFolder | None = None  # Entered. Draws and states go there.

    def groups(self, natives: Sequence[NativeModel], settings: Settings) -> list[Group]:
        """Make the groups of the run."""
        chain_ids = list(range(len(self.positions)) if self.chain_ids is None else self.chain_ids)
        path = None if self.folder is None else self.folder.path
        groups = new_groups(natives, self.positions, settings, self.seed, chain_ids, folder=path)
        if self.adaptation is not None:
            for group in groups:
                group.adaptation = self.adaptation.of_chains(group.chain_ids)
        return groups

    def enter_folder(self, groups: Sequence[Group], settings: Settings, clock: Clock) -> None:
        """Save the start of all chains, and then the manifest: from here on the run can be resumed."""
        assert self.folder is not None
        with as_checkpoint_error(self.folder.path):
            if self.adaptation is not None:
                self.folder.keep(ADAPTATION, self.adaptation.to_bytes())
            for group in groups:
                group.files.open()
                group.files.begin_capture()
                for chain in range(len(group.chain_ids)):
                    if (captured := group.files.capture_chain(chain)) is not None:  # after the last of them
                        group.files.save(captured, {})
            chain_ids = [chain_id for group in groups for chain_id in group.chain_ids]
            self.folder.record(settings._asdict(), self.seed, chain_ids, self.positions.shape[1])


class SavedRun(NamedTuple):
    """A run that has begun: it goes on from the newest checkpoint in its folder."""

    folder: RunFolder  # entered
    chain_ids: Sequence[int] | None = None  # those that it should have

    def groups(self, natives: Sequence[NativeModel], settings: Settings) -> list[Group]:
        """Make groups for what was saved; raises CheckpointError if that was begun with other settings."""
        check_chains(self.folder.path, self.folder.chain_ids, self.chain_ids)
        return _groups_in(self.folder.path, self.folder.manifest, settings, natives)

    def enter_folder(self, groups: Sequence[Group], settings: Settings, clock: Clock) -> None:
        """Give groups their newest saved states, and take note of new settings."""
        with as_checkpoint_error(self.folder.path):
            for group in groups:
                if not group.files.load():
                    _log.warning(
                        "The newest checkpoint of chains %s is damaged: the one before is used.", group.chain_ids
                    )
                if group.phase == START and (adaptation := adaptation_in(self.folder)) is not None:
                    group.adaptation = adaptation.of_chains(group.chain_ids)
                group.cpu_s = list(group.files.facts.get("cpu_s", group.cpu_s))
                group.files.open()
            walls_s = [group.files.facts.get("walls_s", (0.0, 0.0)) for group in groups]
            clock.resume(max(walls_s, key=sum))
            self.folder.change(settings._asdict())


def settings_in(manifest: Mapping[str, Any]) -> Settings:
    """Read what a run was set to."""
    return Settings(**manifest["settings"])


def adaptation_in(folder: RunFolder) -> AdaptationState | None:
    """Read the adaptation state that a run was given."""
    if ADAPTATION not in folder.manifest["files"]:
        return None
    state = AdaptationState.from_bytes(folder.kept(ADAPTATION), folder.path / ADAPTATION)
    state.check(folder.manifest["n_dim"])
    return state


def read_groups(path: str | os.PathLike, of_chains: Sequence[int] | None = None) -> list[Group]:
    """Read the newest states of all groups of a run, and open what its chains drew, without working in its folder.

    Raises CheckpointError if it holds no run that can be read, or not one of just the chains that are named.
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
    groups = _groups_in(path, manifest, settings_in(manifest), [])
    for group in groups:
        group.files.load()
        group.cpu_s = list(group.files.facts.get("cpu_s", group.cpu_s))
    return groups


def _groups_in(
    path: Path, manifest: Mapping[str, Any], settings: Settings, natives: Sequence[NativeModel]
) -> list[Group]:
    """Make groups for the states in a folder, once these say that they were made with these settings."""
    n_dim, seed, chain_ids = manifest["n_dim"], int(manifest["seed"]), manifest["chain_ids"]
    for part in split_into_groups(chain_ids):
        check_begun(path, chain_ids[part], begun_with(settings._asdict(), seed, n_dim))
    if natives and natives[0].n_dim != n_dim:
        raise CheckpointError(
            f"{path} is a run of another model: {n_dim} unconstrained values there, {natives[0].n_dim} here."
        )
    room = np.zeros((len(chain_ids), n_dim))  # into which the keepers load positions
    return new_groups(natives, room, settings, seed, chain_ids, folder=path)


class Checkpoints:
    """Takes checkpoints of all groups every so many seconds; used from the driver's thread, within a `with`.

    The folder says how often; each group has files; the seconds of the run's clock are saved with the states.
    """

    def __init__(self, folder: RunFolder, groups: Sequence[Group], clock: Clock):
        self._folder = folder
        self._groups = groups
        self._clock = clock
        self._every_s = max(folder.every_s, _SHORTEST_S)
        self._due_s = time.monotonic() + self._every_s
        self._waiting: set[int] = set()  # groups whose state is due, and cannot be taken in this phase
        self._saves: list[Future] = []

    def __enter__(self) -> Self:
        # One thread, because the disk is one.
        self._saver = ThreadPoolExecutor(1, thread_name_prefix="nutmill-saver")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._saver.shutdown(wait=True)

    def capture_chain(self, group: Group, chain: int) -> None:
        """Copy what is due of a chain whose native call has returned, before another is made."""
        captured = group.files.capture_chain(chain)
        if captured is not None:
            facts = {"cpu_s": group.cpu_s, "walls_s": self._clock.walls_s}
            self._saves.append(self._saver.submit(group.files.save, captured, facts))

    def tick(self) -> None:
        """Begin to copy states when it is time."""
        self._raise_errors_of_saves(wait=False)
        now = time.monotonic()
        if now >= self._due_s and not self._saves:
            self._due_s = now + self._every_s
            self._waiting = set(range(len(self._groups)))
        for number in sorted(self._waiting):
            group = self._groups[number]
            if group.files.is_capturing or self._begin_capture(group):
                self._waiting.remove(number)

    def finish(self) -> None:
        """Save the states of all groups, whose chains are all at rest; they are on the disk when this returns."""
        for group in self._groups:
            self._begin_capture(group)
        self._raise_errors_of_saves(wait=True)

    def _begin_capture(self, group: Group) -> bool:
        if not group.files.begin_capture():
            return False
        for chain in range(len(group.chain_ids)):
            if chain not in group.running:
                self.capture_chain(group, chain)
        return True

    def _raise_errors_of_saves(self, wait: bool) -> None:
        """Raise what went wrong in saves that have ended, or in all of them, which is waited for."""
        for save in [save for save in self._saves if wait or save.done()]:
            self._saves.remove(save)
            save.result()
            self._folder.last_saved_s = time.time()
