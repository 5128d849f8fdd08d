"""The form of files with code: a magic line, a checksum, a header in JSON, and the raw bytes of its parts.

The checksum covers everything after it: a file that was cut, that has a flipped bit, or that another program wrote is
noticed before anything in it is believed. It is no signature: whoever may write the file may write code.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

MAGIC = b"nutmill cache 1\n"  # of entries of the cache; other files have a line of their own
_DIGEST = 64  # characters of a SHA-256


class Damaged(Exception):
    """The bytes are no entry, or not all of one."""


class Entry(NamedTuple):
    """What is kept: small facts, and code."""

    manifest: dict  # anything that JSON can say
    parts: Mapping[str, bytes]


class Header(NamedTuple):
    """Whose entry it is, where it may be used, and what follows."""

    kind: str
    key: str
    environment: dict[str, str]  # of the process that made it
    about: str  # for people
    manifest: dict
    sizes: list[list]  # [name, n_bytes] of each part


_KINDS = (str, str, dict, str, dict, list)


def pack(header: Header, parts: Mapping[str, bytes], magic: bytes = MAGIC) -> bytes:
    """Write an entry; `header.sizes` is filled in."""
    header = header._replace(sizes=[[name, len(part)] for name, part in parts.items()])
    rest = b"".join([json.dumps(header._asdict()).encode(), b"\n", *parts.values()])
    return magic + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


def unpack(content: bytes, magic: bytes = MAGIC) -> tuple[Header, dict[str, bytes]]:
    """Read an entry; raises Damaged if it is not exactly what `pack` wrote."""
    start = len(magic) + _DIGEST + 1
    if not content.startswith(magic):
        raise Damaged("it does not begin as a file of this version of nutmill")
    rest = content[start:]
    if hashlib.sha256(rest).hexdigest().encode() + b"\n" != content[len(magic) : start]:
        raise Damaged("its checksum does not fit, so it is damaged or cut off: copy it again, or make it anew")
    line, _, body = rest.partition(b"\n")
    header = _header(line)
    parts, first = {}, 0
    if not _are_sizes(header.sizes, len(body)):
        raise Damaged("its header cannot be read")
    for name, size in header.sizes:
        parts[name] = body[first : first + size]
        first += size
    return header, parts


def _are_sizes(sizes, n_bytes: int) -> bool:
    """Whether these are names and lengths of parts that fill a body of `n_bytes`."""
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in sizes):
        return False
    are_sizes = all(isinstance(name, str) and type(size) is int and size >= 0 for name, size in sizes)
    return are_sizes and sum(size for _, size in sizes) == n_bytes


def unpack_header(beginning: bytes) -> Header:
    """Read the header alone, from as many bytes of the file as hold it; the checksum is not looked at."""
    if not beginning.startswith(MAGIC):
        raise Damaged("it does not begin as a file of this version of nutmill")
    return _header(beginning[len(MAGIC) + _DIGEST + 1 :].partition(b"\n")[0])


def _header(line: bytes) -> Header:
    try:
        header = Header(**json.loads(line))
    except (TypeError, ValueError, RecursionError) as error:
        raise Damaged("its header cannot be read") from error
    if any(not isinstance(value, kind) for value, kind in zip(header, _KINDS, strict=True)):
        raise Damaged("its header cannot be read")
    return header
