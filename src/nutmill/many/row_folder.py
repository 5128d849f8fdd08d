"""The folder of many fits: rows in files as they are made, so that a killed call goes on where it was."""

import io
import json
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from nutmill.checkpoint.folder import make_folder
from nutmill.checkpoint.lock import FolderLock
from nutmill.checkpoint.records import as_checkpoint_error
from nutmill.errors import CheckpointError
from nutmill.files import read_plain, replace_file
from nutmill.many.datasets import DataSet
from nutmill.many.gathered import joined
from nutmill.many.keeping import Groups, TakesRows
from nutmill.many.same_call import DataDigest, facts_from_json
from nutmill.sampling.kept_model import check_same

_CALL, _FORMER_CALL = "request.json", "asked.json"  # what the call was: now, and in folders of earlier versions
_DIGEST = "digest"  # of the data sets of a file, beside its arrays


class RowFolder:
    """Keeps rows on the disk, within a `with`, in a folder that is new, empty, or that of a call with the same facts.

    `facts` are what rows depend on beside their data (`same_call.facts_of_call`). A kill costs `every_s` seconds at
    most. Entering raises CheckpointError if the folder is of another call, holds other files, another process has it,
    or it cannot be written.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any], every_s: float):
        self._path, self._facts, self._every_s = path, facts, every_s
        self._lock = FolderLock(path / "lock")
        self._rows: list[Groups] = []
        self._first, self._digest = 0, DataDigest()
        self._written_s = time.monotonic()

    def __enter__(self) -> Self:
        make_folder(self._path)
        with as_checkpoint_error(self._path):
            call = self._call_file()
            if not call.exists() and any(self._path.iterdir()):
                raise CheckpointError(f"{self._path} holds other files: take a new folder.")
            self._lock.__enter__()
            try:
                if call.exists():
                    self._check(call)
                else:
                    replace_file(call, json.dumps(self._facts).encode())
            except BaseException as error:
                self._lock.__exit__(type(error), error, error.__traceback__)
                raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._write()
        finally:
            self._lock.__exit__(kind, error, trace)

    def restore(self, sets: Iterator[DataSet], taken: TakesRows) -> int:
        """Take the rows that are there, and pass over their data sets; return how many.

        Raises CheckpointError if a data set is another than the one that was fitted, or a file is damaged.
        """
        for path in sorted(self._path.glob("rows-*.npz")):
            groups, known = _read(path)
            count, digest, keys = len(groups["fits"]["failed"]), DataDigest(), []
            for _ in range(count):
                data = next(sets, None)
                if data is not None:
                    keys.append(data.key)
                    digest.add(data)
            if digest.hexdigest() != known:
                last = self._first + count - 1
                raise CheckpointError(
                    f"The data sets {self._first} to {last} are others than those that {self._path} was made of: pass "
                    "the same in the same order, or take a new folder."
                )
            taken.add_many(keys, groups)
            self._first += count
        return self._first

    def keep(self, data: DataSet, row: Groups) -> None:
        """Take the next row; it is on the disk within `every_s`, or at the end."""
        self._rows.append(row)
        self._digest.add(data)
        if time.monotonic() - self._written_s >= self._every_s:
            self._write()

    def _write(self) -> None:
        if self._rows:
            arrays = {f"{group}/{name}": a for group, found in joined(self._rows).items() for name, a in found.items()}
            content = io.BytesIO()
            np.savez(content, allow_pickle=False, **{_DIGEST: np.array(self._digest.hexdigest()), **arrays})
            with as_checkpoint_error(self._path):
                replace_file(self._path / f"rows-{self._first:012d}.npz", content.getvalue())
            self._first += len(self._rows)
            self._rows, self._digest = [], DataDigest()
        self._written_s = time.monotonic()

    def _call_file(self) -> Path:
        former = self._path / _FORMER_CALL
        return former if former.exists() else self._path / _CALL

    def _check(self, call: Path) -> None:
        """Refuse a folder of another call."""
        try:
            theirs = facts_from_json(read_plain(call))
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{call} is damaged: take a new folder.") from error
        for name, value in self._facts["request"].items():
            if theirs["request"].get(name) != value:
                raise CheckpointError(
                    f"{self._path} is of a call with {name}={theirs['request'].get(name)!r}, not {value!r}: "
                    "take a new folder."
                )
        check_same(self._facts, theirs, self._path)


def _read(path: Path) -> tuple[Groups, str]:
    try:
        with np.load(io.BytesIO(read_plain(path)), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        digest = str(arrays.pop(_DIGEST))
        groups: dict[str, dict[str, np.ndarray]] = {}
        for name, array in arrays.items():
            group, _, variable = name.partition("/")
            groups.setdefault(group, {})[variable] = array
        groups["fits"]["failed"]  # which each file has
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is damaged ({error}): remove it and all that come after it.") from error
    return dict(groups), digest
