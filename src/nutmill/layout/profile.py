"""Keeps chosen layouts on disk, one file for each machine, BLAS and workload, and finds the one that fits."""

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, Self

from nutmill.errors import LayoutError
from nutmill.files import CODE_MODE, cache_folder, make_cache_folder, read_plain, replace_file, why_not_private
from nutmill.layout.blas.identity import BlasIdentity
from nutmill.layout.blas.library import BlasLibrary
from nutmill.layout.layout import Layout
from nutmill.layout.search.findings import Sweep

SCHEMA = 1

_FOLDER = "profiles"

_log = logging.getLogger("nutmill")

# Profiles that could not be written, by file: they hold for this process.
_kept_in_memory: dict[Path, "Profile"] = {}


class BlasKey(NamedTuple):
    """Which BLAS timings were made with, as the library itself says."""

    name: str
    version: str

    @classmethod
    def of(cls, library: BlasLibrary) -> Self:
        """Name a library, also one that does not tell its version."""
        return cls(library.name, library.version or "unknown")


@dataclass(frozen=True)
class Profile:
    """A chosen layout, what it was chosen from, and where it holds."""

    machine: str  # fingerprint of the topology
    machine_description: str  # the machine in a line that people can read
    blas: BlasKey
    workload: str  # fingerprint of the workload
    size_class: Mapping  # what workloads have in common that want the same layout; JSON's types
    sweep: Sweep
    # The system's load averages over 1, 5 and 15 minutes when the profile was made.
    load_averages: tuple[float, ...] = field(default_factory=lambda: _load_averages())
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))  # ISO 8601, UTC
    nutmill: str = field(default_factory=lambda: version("nutmill"))
    libraries: tuple[BlasIdentity, ...] = ()  # those that were compared; profiles from before 2026-11-29 do not tell
    # Every file of the machine that might have been a BLAS when the profile was made; as well.
    known_files: tuple[str, ...] = ()

    @property
    def library(self) -> BlasIdentity | None:
        """The library of the chosen layout; None if it is SciPy's, which `blas` names."""
        named = self.layout.blas
        return next((one for one in self.libraries if named is not None and one.blas == named), None)

    @property
    def layout(self) -> Layout:
        """The chosen layout."""
        return self.sweep.best

    @property
    def doubt(self) -> str | None:
        """Why the layout should not be taken without asking; None if it may."""
        if self.sweep.confidence == "high":
            return None
        return "measured with low confidence: tune again when the machine is quiet, or with a larger budget."

    def as_dict(self) -> dict:
        """Give all of it as plain values for JSON."""
        return {
            "schema": SCHEMA,
            "nutmill": self.nutmill,
            "created": self.created,
            "machine": {"fingerprint": self.machine, "description": self.machine_description},
            "blas": self.blas._asdict(),
            "workload": {"fingerprint": self.workload, "size_class": dict(self.size_class)},
            "load_averages": list(self.load_averages),
            "libraries": [one._asdict() for one in self.libraries],
            "known_files": list(self.known_files),
            "sweep": self.sweep.as_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping) -> "Profile":
        """Make a profile of what `as_dict` gave; raises LayoutError with one sentence if it is not that."""
        try:
            if values["schema"] != SCHEMA:
                raise LayoutError(f"the profile has schema {values['schema']!r}, and this nutmill reads {SCHEMA}")
            return cls(
                machine=_text(values["machine"]["fingerprint"]),
                machine_description=_text(values["machine"]["description"]),
                blas=BlasKey(_text(values["blas"]["name"]), _text(values["blas"]["version"])),
                workload=_text(values["workload"]["fingerprint"]),
                size_class=dict(values["workload"]["size_class"]),
                sweep=Sweep.from_dict(values["sweep"]),
                load_averages=tuple(float(value) for value in values["load_averages"]),
                created=_text(values["created"]),
                nutmill=_text(values["nutmill"]),
                libraries=tuple(BlasIdentity.from_dict(one) for one in values.get("libraries", ())),
                known_files=tuple(_text(one) for one in values.get("known_files", ())),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, LayoutError):
                raise
            raise LayoutError(f"it is not a layout profile, or it is damaged ({error!r})") from error


def profile_folder() -> Path:
    """Return where profiles are kept, in the cache's folder."""
    return cache_folder() / _FOLDER


def save(profile: Profile) -> Path | None:
    """Keep a profile in `profile_folder`; the file is there as a whole or not at all. Returns where it is.

    None where the folder cannot be written: then it is kept for this process, and the log says so once.
    """
    path = profile_folder() / _file_name(profile)
    try:
        make_cache_folder()
        make_cache_folder(_FOLDER)
        replace_file(path, json.dumps(profile.as_dict(), indent=1).encode(), mode=CODE_MODE)
    except OSError as error:
        if not _kept_in_memory:
            _log.warning("Layout profiles are kept in memory only: %s cannot be written (%s).", path.parent, error)
        _kept_in_memory[path] = profile
        return None
    _kept_in_memory.pop(path, None)
    return path


def find(machine: str, blas: BlasKey, workload: str, size_class: Mapping) -> Profile | None:
    """Find the profile of this machine, BLAS and workload, else the newest of a workload of the same size class.

    Never raises: profiles that cannot be used are passed over, and one line of the log says how many and why. `machine`
    and `workload` are fingerprints; `size_class` is as in `Profile`.
    """
    reasons: list[str] = []
    profiles = _readable(reasons)
    here = [profile for profile in profiles if _is_valid_here(profile, machine, blas, reasons)]
    exact = [profile for profile in here if profile.workload == workload]
    similar = [profile for profile in here if _plain(profile.size_class) == _plain(size_class)]
    best = max(exact or similar, key=lambda profile: profile.created, default=None)
    if reasons:
        counted = "; ".join(f"{reasons.count(reason)} x {reason}" for reason in dict.fromkeys(reasons))
        level = logging.DEBUG if exact else logging.INFO
        _log.log(level, "Layout profiles in %s that were passed over: %s.", profile_folder(), counted)
    if best is not None:
        _log.debug("Layout profile of %s: %s.", best.created, best.layout)
    return best


def load(path: str | os.PathLike) -> Profile:
    """Read the profile that the user names; raises LayoutError with one sentence where it cannot be used."""
    try:
        return _profile(read_plain(Path(path), follow=True))
    except OSError as error:
        raise LayoutError(f"The layout profile {path} cannot be read: {error.strerror or error}.") from error
    except LayoutError as error:
        raise LayoutError(f"The layout profile {path} cannot be used: {error}.") from error


def _readable(reasons: list[str]) -> list[Profile]:
    profiles = dict(_kept_in_memory)
    folder = profile_folder()
    try:
        paths = sorted(folder.glob("*.json"))
    except OSError:
        paths = []
    for path in paths:
        try:
            # A layout may name a library, so that who may write it may run code.
            if reason := why_not_private(Path(os.path.realpath(folder))) or why_not_private(path):
                raise LayoutError(reason.partition(";")[0])
            profiles.setdefault(path, _profile(read_plain(path)))
        except (OSError, LayoutError) as error:
            reasons.append(f"{path.name}: {error}")
    return [profile for path, profile in profiles.items() if path.parent == folder]


def _is_valid_here(profile: Profile, machine: str, blas: BlasKey, reasons: list[str]) -> bool:
    """Whether the timings of a profile are valid here and now; if not, `reasons` gets a sentence."""
    if profile.machine != machine:
        reasons.append("from another machine")
    elif profile.nutmill != version("nutmill"):
        reasons.append("from another version of nutmill")
    elif profile.blas != blas:
        reasons.append(f"measured with {profile.blas.name} {profile.blas.version}")
    else:
        return True
    return False


def _profile(content: bytes) -> Profile:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise LayoutError(f"it is not JSON, or it is damaged ({error})") from error
    if not isinstance(values, dict):
        raise LayoutError("it is not a layout profile")
    return Profile.from_dict(values)


def _file_name(profile: Profile) -> str:
    parts = (profile.machine, *profile.blas, profile.workload[:40])
    return "-".join(re.sub(r"[^A-Za-z0-9._]+", "_", part) for part in parts) + ".json"


def _plain(values: Mapping) -> str:
    """Write a mapping so that equal ones are equal also after a way through JSON."""
    return json.dumps(dict(values), sort_keys=True, default=str)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _load_averages() -> tuple[float, ...]:
    try:
        return os.getloadavg()
    except (AttributeError, OSError):  # Windows has none
        return ()
