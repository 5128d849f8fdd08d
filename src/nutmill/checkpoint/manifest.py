"""What a run folder says of its run: manifest.json, whose form is described here and nowhere else.

It is plain JSON for people to read, and sealed by a digest: arrays are made by the numbers in it, and native code runs
through them by those of the saved states.
"""

import hashlib
import itertools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nutmill.checkpoint.form import Misfit, each, flag, mapping, maybe, number, one_of, parsed, record, text, whole
from nutmill.checkpoint.records import replace_state
from nutmill.errors import CheckpointError, path_of
from nutmill.files import kind_of, read_plain

SCHEMA = 4
_OLDER = {3: {"asked": "request"}}  # schemas that are read, too: names of theirs and what these are called now
MANIFEST, LOCK, STATUS, MODEL = "manifest.json", "lock", "status.json", "model.nut"
ADAPTATION, CHAINS, GROUPS, RESULT = "adaptation.npz", "chains", "groups", "result"
# Of a run whose groups are sampled apart, by an executor: a run folder for each, where all chains start,
# and a file that is there while somebody waits for them.
PARTS, STARTS, RUNNING = "parts", "starts.npz", "running"
# What lies in a run folder under each of our names; others are nobody's business.
_OURS = {
    **dict.fromkeys((MANIFEST, LOCK, STATUS, MODEL, ADAPTATION, STARTS, RUNNING), "a file"),
    **dict.fromkeys((CHAINS, GROUPS, RESULT, PARTS), "a folder"),
}
_DIGEST = "digest"

_SEED = text(r"\d{1,4000}")
_CHAIN_IDS = each(whole(0, 2**40))
_TREEDEPTH, _METRIC, _CENTRING = whole(1, 20), one_of("auto", "diag"), one_of("auto", "off")
_SETTINGS = record(
    {
        "draws": whole(1),
        "tune": maybe(whole()),
        "target_accept": number(0.0, 1.0),
        "metric": _METRIC,
        "centring": _CENTRING,
        "max_treedepth": _TREEDEPTH,
        "keep_warmup": flag,
        "keep_divergences": flag,
    }
)
# By the arguments of `sample_numba`.
_REQUEST = record(
    {
        "draws": whole(1),
        "tune": maybe(whole()),
        "chains": whole(1),
        "target_accept": number(0.0, 1.0),
        "max_treedepth": _TREEDEPTH,
        "metric": _METRIC,
        "centring": _CENTRING,
        "starts": one_of("jitter", "prior"),
        "chain_ids": _CHAIN_IDS,
        "random_seed": _SEED,
        "discard_tuned_samples": flag,
        "idata_kwargs": mapping(flag),
        "until": maybe(mapping(number(0.0))),
    }
)
_MODEL = record(
    {
        "parameters": mapping(each(whole())),
        "reported": each(text()),
        "fused": flag,
        "probes": each(each(number(finite=False), 2), 3),
    }
)
_OF_ANY_VERSION = record({"schema": whole()}, others=True)
_FORM = record(
    {
        "schema": whole(),
        "created": text(),
        "settings": _SETTINGS,
        "seed": _SEED,
        "chain_ids": _CHAIN_IDS,
        "n_dim": whole(1),
        "files": mapping(text("[0-9a-f]{64}")),
        "request": _REQUEST,
        "model": _MODEL,
        "data": mapping(text()),
        "versions": mapping(text()),
        "cpu": text(),
    },
    # Of a model that calls BLAS: with which library and how many threads a chain draws were made, one after the other;
    # of a library that a layout named, SHA-256 of its file too.
    # And of a model in tiles: how many tile threads a chain had last, if more than one.
    {
        "blas": each(record({"library": maybe(text()), "threads": whole(1)}, {"digest": text("[0-9a-f]*")})),
        "tile_threads": whole(2),
    },
)


def has_begun(path: str | os.PathLike) -> bool:
    """Whether a folder holds a run that can be resumed."""
    return os.path.lexists(Path(path) / MANIFEST)


def strange_names(path: Path) -> list[str]:
    """Names in a folder that are not those of a run."""
    return sorted({entry.name for entry in path.iterdir()} - set(_OURS))


def check_names(path: Path) -> None:
    """Refuse a folder in which one of our names is a link, or of another kind: what it leads to is not ours.

    Raises
    ------
    CheckpointError
    """
    for name, wanted in _OURS.items():
        kind = kind_of(path / name)
        if kind not in (None, wanted):
            raise CheckpointError(
                f"{path / name} is {kind}, where a run keeps {wanted} of its own: put {wanted} there, or take another "
                "folder."
            )


def read_manifest(path: str | os.PathLike) -> dict[str, Any]:
    """Read what a folder says of its run.

    Raises CheckpointError if it holds none, one that was changed, or one that another version of nutmill has written;
    ArgumentError if `path` is no path.
    """
    path = path_of(path, "path", "a run's folder")
    check_names(path)
    try:
        content = read_plain(path / MANIFEST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(f"{path} holds no run that has begun.") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        manifest = parsed(content, _OF_ANY_VERSION)
        # An older version sealed nothing.
        if manifest["schema"] == SCHEMA or _DIGEST in manifest:
            _check_seal(manifest, path)
        if manifest["schema"] in _OLDER:
            names = _OLDER[manifest["schema"]]
            manifest = {names.get(name, name): value for name, value in manifest.items()} | {"schema": SCHEMA}
        if manifest["schema"] != SCHEMA:
            raise CheckpointError(
                f"{path} was written by nutmill {_version_in(manifest)}, in a form that this version does not read: "
                "resume it with that version."
            )
        del manifest[_DIGEST]
        _FORM(manifest, "")
        _check_agreement(manifest)
    except (Misfit, RecursionError) as error:
        raise CheckpointError(
            f"{path / MANIFEST} is damaged ({error}): restore it from a copy, or sample again into another folder."
        ) from error
    return manifest


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write what a folder says of its run, sealed, safely to the disk."""
    replace_state(path / MANIFEST, sealed(manifest))


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """Give the content of the file, with its digest."""
    return json.dumps({**manifest, _DIGEST: _digest(manifest)}, indent=1).encode()


def _digest(manifest: Mapping[str, Any]) -> str:
    """Sum up what a manifest says, however it is written."""
    said = {name: value for name, value in manifest.items() if name != _DIGEST}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _check_seal(manifest: Mapping[str, Any], path: Path) -> None:
    if manifest.get(_DIGEST) != _digest(manifest):
        raise CheckpointError(
            f"{path / MANIFEST} is not as nutmill wrote it: it was edited, or it is damaged. Put back what was there, "
            "or sample again into another folder; of a run that has begun, nutmill.resume changes draws, until and "
            "limits, and nothing else can be changed."
        )


def _check_agreement(manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest that says the same thing twice, and differently: one is used, the other shown."""
    request, chain_ids = manifest["request"], manifest["chain_ids"]
    settings = {
        **{name: request[name] for name in ("draws", "tune", "target_accept", "metric", "centring", "max_treedepth")},
        "keep_warmup": not request["discard_tuned_samples"],
        "keep_divergences": request["idata_kwargs"].get("divergences", False),
    }
    said = manifest["settings"], manifest["seed"], chain_ids
    if said != (settings, request["random_seed"], request["chain_ids"]):
        raise Misfit("what was asked is not what it was set to")
    if not chain_ids or any(a >= b for a, b in itertools.pairwise(chain_ids)):
        raise Misfit("its chains are not in their order")


def _version_in(manifest: Mapping[str, Any]) -> str:
    versions = manifest.get("versions")
    found = versions.get("nutmill") if isinstance(versions, dict) else None
    return found if isinstance(found, str) and found.isprintable() else "of another version"
