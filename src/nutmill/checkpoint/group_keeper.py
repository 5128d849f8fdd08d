"""Keeps one group on disk: appends the draws of its chains, and saves the state of each between two native calls."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nutmill.checkpoint.manifest import CHAINS, GROUPS
from nutmill.checkpoint.records import Mark, RecordFile, as_checkpoint_error, is_intact, read_records
from nutmill.checkpoint.state_files import IDLE_WHILE_SAMPLING, OF_CHAINS, OF_GROUP, SavedState, StateFiles
from nutmill.checkpoint.streams import STREAMS, Stream, stream_of
from nutmill.errors import CheckpointError
from nutmill.nuts.group_size import GROUP_SIZE
from nutmill.nuts.state import SAMPLING, START, WITHOUT_DRAWS, GroupState


def begun_with(settings: Mapping[str, Any], seed: int, n_dim: int) -> dict:
    """Give, as JSON, what a run is begun with: all that its draws depend on, apart from model and data."""
    kept = {name: value for name, value in settings.items() if name != "draws"}
    return {"seed": str(seed), "n_dim": n_dim, "settings": kept}


def check_begun(folder: Path, chain_ids: list[int], begun: dict) -> None:
    """Compare what a run is said to be with what its checkpoints say, before anything is made by it.

    Raises CheckpointError if no checkpoint was made with this.
    """
    found = StateFiles(folder / GROUPS, chain_ids[0] // GROUP_SIZE).facts()
    if not found:
        raise _no_whole_checkpoint(folder, chain_ids)
    if not any((facts["begun"], facts["chain_ids"]) == (begun, chain_ids) for facts in found):
        raise CheckpointError(
            f"{folder} says of chains {chain_ids} what its checkpoints do not say: they belong to another run, or "
            "were begun with other settings. Put back the files that were there, or sample again into another folder."
        )


def _no_whole_checkpoint(folder: Path, chain_ids: list[int]) -> CheckpointError:
    return CheckpointError(
        f"{folder} cannot be resumed: of chains {chain_ids} no checkpoint with its draws is whole. "
        "Sample again, into another folder."
    )


class CapturedState(NamedTuple):
    """A copy of the state of a group, each chain copied while it was at rest, and how far their files reach."""

    arrays: dict[str, np.ndarray]
    marks: list[list[Mark]]


class GroupKeeper:
    """The files of one group in the folder of a run.

    `state` is as `new_group` makes it, with windows for outputs, `begun` as `begun_with` does. `facts` are what was
    saved beside the state that was loaded.
    """

    # Draws leave the arrays of the group after each call, so that a call makes no more than fit.
    is_windowed = True

    def __init__(self, folder: Path, state: GroupState, chain_ids: list[int], begun: dict):
        self.facts: dict = {}
        self.folder = folder
        self._begun = begun
        self._state = state
        self._chain_ids = chain_ids
        self._streams = [stream for stream in STREAMS if stream.room(state) > 0]
        self._states = StateFiles(folder / GROUPS, chain_ids[0] // GROUP_SIZE)
        self._sequence = 0
        self._marks = [[Mark() for _ in self._streams] for _ in chain_ids]
        self._files: list[list[RecordFile]] = []
        self._captured = CapturedState({}, [])
        self._missing: set[int] = set()

    def load(self) -> bool:
        """Copy the newest whole state into the group; False if a newer one is damaged.

        Raises
        ------
        CheckpointError
            If none is whole.
        """
        states = self._states.load(self._state)
        for saved in states:
            marks = [[Mark(*mark) for mark in chain] for chain in saved.facts["marks"]]
            if self._are_of(saved, marks) and self._are_whole(marks):
                for name, array in saved.arrays.items():
                    getattr(self._state, name)[...] = array
                self._sequence, self._marks, self.facts = saved.sequence, marks, saved.facts
                return saved is states[0] and len(states) == self._states.n_files
        raise _no_whole_checkpoint(self.folder, self._chain_ids)

    def open(self) -> None:
        """Open the files of draws for writing; what they hold beyond the state is cut off."""
        for chain, marks in enumerate(self._marks):
            self._files.append([])
            for stream, mark in zip(self._streams, marks, strict=True):
                self._files[chain].append(RecordFile(self._path(stream, chain), self._dtype(stream), mark))

    def append(self, chain: int) -> None:
        """Write what a chain at rest has drawn since the last time."""
        with as_checkpoint_error(self.folder):
            self._append(chain)

    def _append(self, chain: int) -> None:
        group, record = self._state.group[0], self._state.chains[chain]
        for stream, file in zip(self._streams, self._files[chain], strict=True):
            rows = np.arange(file.mark.n_records, stream.n_made(group, record)) % stream.room(self._state)
            if len(rows) > 0:
                records = np.zeros(len(rows), self._dtype(stream))  # the padding, too, is the same in every run
                for name, array in zip(stream.fields, stream.arrays(self._state), strict=True):
                    records[name] = array[chain].take(rows, axis=0)
                file.append(records)

    def read(self, kind: str, chain: int) -> list[np.ndarray]:
        """Open the rows of one kind that a chain has written: an array (n, ...) for each field, read when looked at."""
        stream = stream_of(kind)
        n_rows = self.n_written(kind, chain)
        records = read_records(self._path(stream, chain), self._dtype(stream), n_rows)
        return [records[name] for name in stream.fields]

    def joined(self, stores: Sequence["GroupKeeper"], kind: str, parts: Sequence[slice]) -> list[list[np.ndarray]]:
        """Open a part of the rows of all groups of a run, one part a group: a list of chains for each field."""
        chains = [
            [rows[part] for rows in store.read(kind, chain)]
            for store, part in zip(stores, parts, strict=True)
            for chain in range(len(store._chain_ids))
        ]
        return [list(rows) for rows in zip(*chains, strict=True)]

    def n_written(self, kind: str, chain: int) -> int:
        """Return how many rows of one kind a chain has written."""
        kinds = [stream.kind for stream in self._streams]
        # Of a warmup of no draws there is no file.
        return self._mark(chain, kinds.index(kind)).n_records if kind in kinds else 0

    @property
    def is_capturing(self) -> bool:
        """Whether the copy of a state has been begun, and chains are missing from it."""
        return bool(self._missing)

    def begin_capture(self) -> bool:
        """Begin to copy the state; `capture_chain` goes on with it. False if a run cannot be resumed in this phase."""
        group = self._state.group[0]
        is_new = group["phase"] == START and self._sequence == 0
        # Without draws, a call that was made cannot be told from one that is still to be made.
        if group["phase"] in WITHOUT_DRAWS and not is_new:
            return False
        left_out = IDLE_WHILE_SAMPLING if group["phase"] == SAMPLING else ()
        arrays = {name: getattr(self._state, name).copy() for name in OF_GROUP}
        arrays |= {name: np.empty_like(getattr(self._state, name)) for name in OF_CHAINS if name not in left_out}
        self._captured = CapturedState(arrays, [[]] * len(self._chain_ids))
        self._missing = set(range(len(self._chain_ids)))
        return True

    def capture_chain(self, chain: int) -> CapturedState | None:
        """Copy the rows of a chain that is at rest, if they are missing; returns the state once it has all chains."""
        if chain not in self._missing:
            return None
        arrays, marks = self._captured
        for name in OF_CHAINS:
            if name in arrays:
                arrays[name][chain] = getattr(self._state, name)[chain]
        marks[chain] = [self._mark(chain, number) for number in range(len(self._streams))]
        self._missing.remove(chain)
        return None if self._missing else self._captured

    def save(self, captured: CapturedState, facts: dict) -> None:
        """Bring draws and a state to the disk; chains may run meanwhile."""
        facts = {**facts, "begun": self._begun, "chain_ids": self._chain_ids, "marks": captured.marks}
        with as_checkpoint_error(self.folder):
            for file in (file for files in self._files for file in files):
                file.sync()
            self._states.save(SavedState(self._sequence + 1, facts, captured.arrays))
        self._sequence += 1
        self._marks = captured.marks

    def close(self) -> None:
        """Close the files of draws."""
        for file in (file for files in self._files for file in files):
            file.close()
        self._files = []

    def _mark(self, chain: int, number: int) -> Mark:
        return self._files[chain][number].mark if self._files else self._marks[chain][number]

    def _are_of(self, saved: SavedState, marks: list[list[Mark]]) -> bool:
        """Whether a state is one of these chains, and its marks count what it says that they have drawn."""
        said = saved.facts["begun"], saved.facts["chain_ids"]
        group, chains = saved.arrays["group"][0], saved.arrays["chains"]
        counts = [[stream.n_made(group, record) for stream in self._streams] for record in chains]
        return said == (self._begun, self._chain_ids) and counts == [[m.n_records for m in chain] for chain in marks]

    def _are_whole(self, marks: list[list[Mark]]) -> bool:
        return all(
            is_intact(self._path(stream, chain), self._dtype(stream), mark)
            for chain, of_chain in enumerate(marks)
            for stream, mark in zip(self._streams, of_chain, strict=True)
        )

    def _path(self, stream: Stream, chain: int) -> Path:
        return self.folder / CHAINS / f"{self._chain_ids[chain]:05d}.{stream.kind}"

    def _dtype(self, stream: Stream) -> np.dtype:
        return stream.record(self._state.position.shape[1])
