"""Files of a run: states replaced as one, and files that grow by whole records and are cut back to a mark."""

import errno
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nutmill.errors import CheckpointError
from nutmill.files import NotPlain, is_unfinished, kind_of, open_plain, replace_file
from nutmill.nuts.state import DIVERGENCE, STATISTICS

_CHUNK_BYTES = 1 << 24


def draw_record(n_dim: int) -> np.dtype:
    """Type of one draw in a file: the unconstrained position, and its statistics."""
    return np.dtype([("position", "f8", (n_dim,)), ("statistics", STATISTICS)])


def divergence_record(n_dim: int) -> np.dtype:
    """Type of one divergence in a file: which draw, and the points before and after the step with the gradient."""
    return np.dtype([("divergence", DIVERGENCE), ("points", "f8", (3, n_dim))])


@contextmanager
def as_checkpoint_error(folder: Path) -> Iterator[None]:
    """Say in a sentence why the folder of a run cannot be written."""
    try:
        yield
    except NotPlain as error:
        raise CheckpointError(
            f"{error.filename} is no file of this run ({error.strerror}): remove it, or take another folder."
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESTALE) and kind_of(folder) is None:
            raise CheckpointError(
                f"{folder} is gone: it was deleted or renamed while the run went on, which can no longer be saved. "
                "Resume it under its new name, or sample again."
            ) from error
        raise CheckpointError(
            f"{folder} cannot be written ({error.strerror}). What was saved there before is whole: make room, or get "
            "access, and resume."
        ) from error


def replace_state(path: Path, content: bytes) -> None:
    """Put `content` in place of a file, and bring it and its name to the disk."""
    replace_file(path, content)
    sync_folder(path.parent)


def remove_unfinished(folder: Path) -> None:
    """Remove what processes that died were writing; the folder must be nobody else's."""
    for path in folder.iterdir():
        if is_unfinished(path.name) and kind_of(path) == "a file":
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Mark(NamedTuple):
    """How much of a file belongs to the run: records from its start, and the CRC-32 of their bytes."""

    n_records: int = 0
    crc: int = 0


class RecordFile:
    """A file of equal records of one `dtype` that grows at its end.

    What lies behind the `mark` of a file that exists is cut off; from then on that says what has been written so far.
    """

    def __init__(self, path: Path, dtype: np.dtype, mark: Mark):
        self.mark = mark
        self._dtype = dtype
        self._descriptor = open_plain(path, os.O_RDWR | os.O_CREAT)
        try:
            os.ftruncate(self._descriptor, mark.n_records * dtype.itemsize)
            os.lseek(self._descriptor, 0, os.SEEK_END)
        except BaseException:
            self.close()
            raise

    def append(self, records: np.ndarray) -> None:
        """Write records (k,) at the end; the mark moves once they are all written."""
        content = records.data.cast("B")
        written = 0
        while written < len(content):
            written += os.write(self._descriptor, content[written:])
        self.mark = Mark(self.mark.n_records + len(records), zlib.crc32(content, self.mark.crc))

    def sync(self) -> None:
        """Bring what has been written to the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def is_intact(path: Path, dtype: np.dtype, mark: Mark) -> bool:
    """Whether a file begins with the records that a mark tells of, unharmed."""
    n_left = mark.n_records * dtype.itemsize
    if n_left == 0:
        return True
    try:
        with os.fdopen(open_plain(path), "rb") as file:
            crc = 0
            while n_left > 0 and (chunk := file.read(min(n_left, _CHUNK_BYTES))):
                crc = zlib.crc32(chunk, crc)
                n_left -= len(chunk)
    except (FileNotFoundError, NotPlain):
        return False
    return n_left == 0 and crc == mark.crc


def read_records(path: Path, dtype: np.dtype, n_records: int) -> np.ndarray:
    """Open the first records of a file, (n_records,); they stay on the disk until they are looked at."""
    if n_records == 0:
        return np.empty(0, dtype)
    with os.fdopen(open_plain(path), "rb") as file:
        return np.memmap(file, dtype, mode="r", shape=(n_records,))
