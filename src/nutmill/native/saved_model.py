"""The parts of a compiled model, its description, code and origin, as the content of a file, and back.

A file holds machine code, which runs with the rights of whoever loads it. Its checksum tells damage, not forgery.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import cast

from nutmill.errors import ModelError, NutmillError
from nutmill.files import why_not_private
from nutmill.native.code import OBJECT, Code, code_of, entry_of, object_in
from nutmill.native.container import Damaged, Entry, Header, pack, unpack
from nutmill.native.description import Description, first_names
from nutmill.native.labels import label_array
from nutmill.native.object import loaded_once, symbols_of_numba, unresolved
from nutmill.native.origin import Origin
from nutmill.native.processor import Target, obstacle
from nutmill.native.record import ENTRY_WORDS, FIRST_WORD
from nutmill.native.saved_facts import (
    Arrays,
    description_from_json,
    description_to_json,
    origin_from_json,
    origin_to_json,
)
from nutmill.native.saved_origin import SavedOrigin
from nutmill.nuts.state import FIELDS

_ANY_VERSION = b"nutmill model "
MAGIC = _ANY_VERSION + b"1\n"

_KERNEL, _FUNCTIONS, _LIKELIHOOD = "kernel", "functions", "likelihood"

# The arrays of chains and the entries of objects, which the code in a file and this nutmill must see alike.
_CHAINS = hashlib.sha256(repr((FIELDS, ENTRY_WORDS, FIRST_WORD)).encode()).hexdigest()[:16]


def to_bytes(description: Description, code: Code, origin: Origin, *, data: bool, log_likelihood: bool) -> bytes:
    """Give the content of a file; raises ModelError if the model's code needs Python, or its data are missing."""
    likelihood = origin.likelihood(code.target) if log_likelihood else None
    for each in filter(None, (code, likelihood)):
        _check_stands_alone(each)
    if description.missing:
        raise ModelError("This model was saved without its data and still has none: copy its file instead.")
    labels = {dim: label_array(values) for dim, values in description.coords.items()}
    arrays, entry = Arrays(), entry_of(code)
    # Every origin makes one of this kind, which `native.origin` cannot name: it lies below.
    saved = cast(SavedOrigin, origin.saved(description.values, code.target))
    manifest = {
        "versions": {"nutmill": version("nutmill"), "chains": _CHAINS},
        "code": entry.manifest,
        "description": description_to_json(replace(description, coords=labels), arrays, data=data),
        "origin": origin_to_json(saved, arrays, data=data),
        "likelihood": None if likelihood is None else likelihood.facts(),
    }
    objects = {_KERNEL: code.kernel.code, _FUNCTIONS: saved.functions.code}
    if likelihood is not None:
        objects[_LIKELIHOOD] = likelihood.native.code
    about = first_names([parameter.rv_name for parameter in description.parameters])
    header = Header("artifact", "", {"target": code.target.name, "cpu": code.target.cpu}, about, manifest, [])
    return pack(header, {**entry.parts, **objects, **arrays.parts}, MAGIC)


def from_bytes(content: bytes) -> tuple[Description, Code, Origin]:
    """Give what a compiled model is made of, from a file's content.

    Raises Damaged if it is none, or cannot run here; the message says why.
    """
    if not content.startswith(_ANY_VERSION):
        raise Damaged("it is no nutmill model")
    header, parts = unpack(content, MAGIC)
    try:
        return _loaded(header.manifest, parts)
    except NutmillError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, EOFError, RuntimeError) as error:
        # A checksum that fits says that somebody wrote this, not that it was this nutmill.
        raise Damaged("what its header says does not fit what it holds: save the model anew") from error


def _loaded(manifest: Mapping, parts: Mapping[str, bytes]) -> tuple[Description, Code, Origin]:
    _check_versions(manifest["versions"])
    entry = Entry(manifest["code"], parts)
    if reason := obstacle(Target.from_list(manifest["code"]["target"])):
        raise Damaged(reason)
    objects = [object_in(entry), *filter(None, (parts.get(part) for part in (_KERNEL, _FUNCTIONS, _LIKELIHOOD)))]
    if missing := sorted({name for code in objects for name in unresolved(code)}):
        raise Damaged(f"this process lacks {', '.join(missing)}, which its code calls")
    arrays = Arrays(parts)
    description = description_from_json(manifest["description"], arrays)
    code = _code(entry, len(description.arrays))
    origin = origin_from_json(manifest["origin"], parts[_FUNCTIONS], arrays, description.values)
    if facts := manifest.get("likelihood"):
        likelihood = _code(Entry(facts, {**parts, OBJECT: parts[_LIKELIHOOD]}), code.n_arrays)
        origin = replace(origin, likelihood_code=likelihood)
    return description, code, origin


def _code(entry: Entry, n_arrays: int) -> Code:
    code = code_of(entry, loaded_once(entry.parts[_KERNEL]), {})
    if code.n_arrays != n_arrays:
        raise ValueError(f"its code reads {code.n_arrays} arrays, and it describes {n_arrays}")
    return replace(code, from_cache=False)


def _check_stands_alone(code: Code) -> None:
    """Refuse code that means something in this process alone."""
    if not code.fused and code.lowering == "numba":
        raise ModelError(
            "PyTensor's Numba forms of this model need Numba's engine, so it cannot be saved: compile it without "
            'lowering="numba".'
        )
    if not code.fused:
        raise ModelError(
            "This model runs through a pointer into Numba's engine, so it cannot be saved: compile it with fuse=True, "
            f"without operations in Python{' (' + ', '.join(code.python_ops) + ')' if code.python_ops else ''}."
        )
    if not code.stands_alone:
        raise ModelError(
            "This model's code holds addresses of this process, of functions of C or of large global arrays, so it "
            "cannot be saved: pass arrays as data, and write such functions with Numba."
        )
    if of_numba := symbols_of_numba(code.native.code):
        raise ModelError(
            f"This model's code calls Numba's own {', '.join(of_numba)}, so it cannot be saved: write the density "
            "with arrays in place of typed lists and dictionaries."
        )


def _check_versions(versions: Mapping[str, str]) -> None:
    if versions["chains"] != _CHAINS:
        here = version("nutmill")
        raise Damaged(
            f"nutmill {versions['nutmill']} wrote it, whose chains nutmill {here} does not know: save the model anew"
        )


def check_private(path: Path) -> None:
    """Refuse what others may write: the file, or a folder on the way to it, in which they could put another."""
    link, file = path.absolute(), path.resolve(strict=True)
    for place in dict.fromkeys((file, link, *link.parents, *file.parents)):
        if reason := why_not_private(place):
            raise Damaged(f"{reason}, or load it without strict=True")
