"""The profile of a compiled model on this machine: what it is found by, and whether it can be relied on."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nutmill.layout import profile as profiles
from nutmill.layout.blas.find import find_blas
from nutmill.layout.machine.topology import Topology
from nutmill.layout.machine.topology import topology as read_topology
from nutmill.layout.profile import BlasKey, Profile
from nutmill.native.compiled import CompiledModel


class ProfileKey(NamedTuple):
    """What a profile is found by; the fields are the arguments of `layout.profile.find`."""

    machine: str
    blas: BlasKey
    workload: str  # digest of the code and of all sizes
    size_class: dict[str, Any]  # what models have in common for which the same layout is right


def stored_profile(compiled: CompiledModel, chains: int) -> Profile | None:
    """Look for the profile of a model on this machine; None where there is none that can be relied on."""
    return reliable_profile(profile_key(compiled, chains, read_topology()))


def reliable_profile(key: ProfileKey) -> Profile | None:
    """Find the profile that fits; None if there is none, or a doubt about it (`Profile.doubt`)."""
    found = profiles.find(*key)
    return found if found is not None and found.doubt is None else None


def profile_key(compiled: CompiledModel, chains: int, topology: Topology) -> ProfileKey:
    """Say what the profile of a model with so many chains is found by on a machine."""
    library = find_blas(None)
    structure = hashlib.sha256(compiled.code.native.code).hexdigest()
    shapes = [list(value.shape) for value in compiled.description.values]
    sizes = json.dumps([structure, shapes, compiled.n_dim, chains])
    size_class: dict[str, Any] = {
        "routines": sorted(compiled.code.native.blas_routines),
        "shapes": sorted(_rounded(shape) for shape in shapes if len(shape) > 0),
        "n_dim": _rounded([compiled.n_dim]),
        "chains": chains,
    }
    if compiled.code.has_tiles:
        size_class["tiles"] = True
    workload = hashlib.sha256(sizes.encode()).hexdigest()[:32]
    return ProfileKey(topology.fingerprint(), BlasKey.of(library), workload, size_class)


def _rounded(shape: Sequence[int]) -> list[int]:
    """Lengths to a factor of about 1.5, within which the same layout is right."""
    return [round(float(np.log(max(1, length)) / np.log(1.5))) for length in shape]
