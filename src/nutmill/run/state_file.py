"""The state of a group in a file: arrays and a few facts with a checksum; the newest two are kept."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nutmill.nuts.state import GroupState
from nutmill.run.files import replace_state

MAGIC = b"nutmill state 1\n"
_LENGTH_BYTES = 8
_SUM_BYTES = hashlib.sha256().digest_size

# All that the next draw depends on, see GroupState; those of one group stand first, the others have a row a chain.
OF_GROUP = ("settings", "group", "schedule")
OF_CHAINS = tuple(
    name for name in GroupState._fields[: GroupState._fields.index("warmup_lp") + 1] if name not in OF_GROUP
)


class SavedState(NamedTuple):
    """One state of a group.

    Attributes
    ----------
    sequence : int
        1 for the first that was saved, and so on.
    facts : dict
        What else belongs to it, as JSON knows it.
    arrays : dict of arrays by the names of GroupState
    """

    sequence: int
    facts: dict
    arrays: Mapping[str, np.ndarray]


class DamagedState(Exception):
    """The file is not a whole state."""


def pack(state: SavedState) -> bytes:
    """Turn a state into the bytes of a file: magic, length of the header, header as JSON, arrays, SHA-256."""
    arrays = [[name, str(array.dtype), list(array.shape)] for name, array in state.arrays.items()]
    header = json.dumps({"sequence": state.sequence, "facts": state.facts, "arrays": arrays}).encode()
    content = [MAGIC, len(header).to_bytes(_LENGTH_BYTES, "little"), header]
    content += [np.ascontiguousarray(array).tobytes() for array in state.arrays.values()]
    body = b"".join(content)
    return body + hashlib.sha256(body).digest()


def unpack(content: bytes, template: GroupState) -> SavedState:
    """Read the bytes of a file; the arrays must have the types and shapes of those of `template`.

    Raises
    ------
    DamagedState
    """
    body, digest = content[:-_SUM_BYTES], content[-_SUM_BYTES:]
    if not body.startswith(MAGIC) or hashlib.sha256(body).digest() != digest:
        raise DamagedState
    first = len(MAGIC) + _LENGTH_BYTES
    n_header = int.from_bytes(body[len(MAGIC) : first], "little")
    header = json.loads(body[first : first + n_header])
    offset, arrays = first + n_header, {}
    for name, dtype, shape in header["arrays"]:
        like = getattr(template, name)
        if (str(like.dtype), like.shape) != (dtype, tuple(shape)):
            raise DamagedState
        arrays[name] = np.frombuffer(body, like.dtype, like.size, offset).reshape(like.shape)
        offset += like.nbytes
    return SavedState(header["sequence"], header["facts"], arrays)


class StateFiles:
    """The two newest states of one group, in two files that take turns."""

    def __init__(self, folder: Path, group_number: int):
        self._paths = [folder / f"{group_number:05d}.{turn}.state" for turn in ("even", "odd")]

    def save(self, state: SavedState) -> None:
        """Write a state in place of the older one, safely on the disk."""
        replace_state(self._paths[state.sequence % 2], pack(state))

    def load(self, template: GroupState) -> list[SavedState]:
        """Read the states that are whole, the newest first."""
        states = []
        for path in self._paths:
            try:
                states.append(unpack(path.read_bytes(), template))
            except (DamagedState, FileNotFoundError):
                continue
        return sorted(states, key=lambda state: -state.sequence)

    @property
    def n_files(self) -> int:
        """How many of the two files there are, whole or not."""
        return sum(path.exists() for path in self._paths)
