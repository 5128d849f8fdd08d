"""The state of a group in a file: arrays and a few facts with a checksum; the newest two are kept."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nutmill.checkpoint.form import Misfit, anything, each, number, parsed, record, text, whole
from nutmill.checkpoint.records import replace_state
from nutmill.files import NotPlain, kind_of, open_plain, read_plain
from nutmill.nuts.bounds import misfit
from nutmill.nuts.state import GroupState

MAGIC = b"nutmill state 1\n"
_LENGTH_BYTES = 8
_SUM_BYTES = hashlib.sha256().digest_size

# All that the next draw depends on, see GroupState; those of one group stand first, the others have a row a chain.
OF_GROUP = ("settings", "group", "schedule", "written")
OF_CHAINS = tuple(
    name for name in GroupState._fields[: GroupState._fields.index("warmup_lp") + 1] if name not in OF_GROUP
)
# What has taught the metric is of no use once that is fixed, and it is large.
IDLE_WHILE_SAMPLING = ("moments", "rows")

_LONGEST_HEADER = 1 << 20
_FACTS = record(
    {
        "begun": record({"seed": text(), "n_dim": whole(1), "settings": anything}),
        "chain_ids": each(whole()),
        "marks": each(each(each(whole(), 2))),
    },
    {"cpu_s": each(number(0.0), 2), "walls_s": each(number(0.0), 2)},
)
_HEADER = record({"sequence": whole(1), "facts": _FACTS, "arrays": each(each(anything, 3))})


class SavedState(NamedTuple):
    """One state of a group."""

    sequence: int  # 1 for the first that was saved, and so on
    facts: dict  # what else belongs to it, as JSON knows it
    arrays: Mapping[str, np.ndarray]


class DamagedState(Exception):
    """The file is not a whole state."""


def pack(state: SavedState) -> bytes:
    """Turn a state into the bytes of a file: magic, length of the header, header as JSON, arrays, SHA-256."""
    arrays = [_array_to_json(name, array) for name, array in state.arrays.items()]
    header = json.dumps({"sequence": state.sequence, "facts": state.facts, "arrays": arrays}).encode()
    content = [MAGIC, len(header).to_bytes(_LENGTH_BYTES, "little"), header]
    content += [np.ascontiguousarray(array).tobytes() for array in state.arrays.values()]
    body = b"".join(content)
    return body + hashlib.sha256(body).digest()


def unpack(content: bytes, template: GroupState) -> SavedState:
    """Read the bytes of a file; the arrays must be those of `template`, and keep native code within them.

    Raises
    ------
    DamagedState
    """
    body, digest = content[:-_SUM_BYTES], content[-_SUM_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise DamagedState
    header, offset = _header(body)
    arrays = {}
    for name in _names_of(header["arrays"], template):
        like = getattr(template, name)
        if offset + like.nbytes > len(body):
            raise DamagedState
        arrays[name] = np.frombuffer(body, like.dtype, like.size, offset).reshape(like.shape)
        offset += like.nbytes
    if offset != len(body) or misfit(arrays, template) is not None:
        raise DamagedState
    return SavedState(header["sequence"], header["facts"], arrays)


def _header(content: bytes) -> tuple[dict, int]:
    """Read the header at the beginning of a file, and where it ends; raises DamagedState."""
    first = len(MAGIC) + _LENGTH_BYTES
    n_header = int.from_bytes(content[len(MAGIC) : first], "little")
    if not content.startswith(MAGIC) or n_header > _LONGEST_HEADER:
        raise DamagedState
    try:
        return parsed(content[first : first + n_header], _HEADER), first + n_header
    except Misfit as error:
        raise DamagedState from error


def _names_of(found: list, template: GroupState) -> tuple[str, ...]:
    """Take the names of arrays as a header tells of them; raises DamagedState unless they are those of a state."""
    whole_state = OF_GROUP + OF_CHAINS
    while_sampling = tuple(name for name in whole_state if name not in IDLE_WHILE_SAMPLING)
    for names in (whole_state, while_sampling):
        if found == [_array_to_json(name, getattr(template, name)) for name in names]:
            return names
    raise DamagedState


def _array_to_json(name: str, array: np.ndarray) -> list:
    return [name, str(array.dtype), list(array.shape)]


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
                states.append(unpack(read_plain(path), template))
            except (DamagedState, FileNotFoundError, NotPlain):
                continue
        return sorted(states, key=lambda state: -state.sequence)

    def facts(self) -> list[dict]:
        """Look into what the headers say of the states; whether these are whole is not known."""
        found = []
        for path in self._paths:
            try:
                with os.fdopen(open_plain(path), "rb") as file:
                    found.append(_header(file.read(_LONGEST_HEADER))[0]["facts"])
            except (DamagedState, FileNotFoundError, NotPlain):
                continue
        return found

    @property
    def n_files(self) -> int:
        """How many of the two files there are, whole or not."""
        return sum(kind_of(path) is not None for path in self._paths)
