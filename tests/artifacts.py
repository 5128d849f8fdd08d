"""What tests of saved models share: all that a model computes as text, files of models, processes without compilers."""

import hashlib
import json
from pathlib import Path

import numpy as np
from processes import output_of, start
from pytest import MonkeyPatch

from nutmill import CompiledModel, sample_numba
from nutmill.native.compiled import from_bytes
from nutmill.native.container import Header, pack, unpack
from nutmill.results import trace

QUIET = {"progressbar": False, "compute_convergence_checks": False}
MAGIC = b"nutmill model 1\n"

# In a process that begins with it, the compilers cannot be imported.
WITHOUT_COMPILERS = """
import sys

COMPILERS = ("pymc", "pytensor", "numba")

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in COMPILERS:
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, Refuse())
"""


def again(compiled: CompiledModel, *, data: bool = True) -> CompiledModel:
    """Save a model and load it, without a disk."""
    return from_bytes(compiled.to_bytes(data=data))


def facts(compiled: CompiledModel) -> dict[str, str]:
    """All that a model computes, says and draws: dtype, shape and digest of each array by name."""
    q = np.linspace(-0.4, 0.5, compiled.n_dim)
    value, gradient = compiled.logp_dlogp(q)
    found = {"value": value, "gradient": gradient, "starts": compiled.starts(None, 3, 5, jitter=True)}
    found |= {f"start {i}": start for i, start in enumerate(compiled.start_values())}
    found |= {f"expanded {name}": values for name, values in compiled.expand(q[None]).items()}
    for group, dataset in groups(compiled).items():
        found |= {f"{group} {name} {array.dims}": array.values for name, array in dataset.variables.items()}
    return {name: told(np.asarray(array)) for name, array in found.items()} | {"dims": json.dumps(compiled.dims)}


def groups(compiled: CompiledModel) -> dict:
    """Groups of a short run by name, before they become an object of ArviZ, which may need Numba."""
    with MonkeyPatch.context() as patch:
        patch.setattr(trace, "_container", lambda groups, attrs: groups)
        return sample_numba(compiled, draws=30, tune=60, chains=2, random_seed=7, discard_tuned_samples=False, **QUIET)


def told(array: np.ndarray) -> str:
    """Dtype, shape and digest of an array."""
    return f"{array.dtype} {array.shape} {hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()}"


def facts_elsewhere(folder: Path) -> dict[str, dict[str, str]]:
    """Facts of each model of a folder, by name, from a new process in which compilers cannot be imported."""
    code = f"""{WITHOUT_COMPILERS}
import json, pathlib, artifacts, nutmill
paths = pathlib.Path({str(folder)!r}).iterdir()
print(json.dumps({{path.stem: artifacts.facts(nutmill.load(path)) for path in paths}}))
assert not set(COMPILERS) & set(sys.modules)
"""
    return json.loads(output_of(start(code)))


def rewritten(content: bytes, change) -> bytes:
    """Change manifest and parts of a file's content by `change(manifest, parts)`, and sum it anew."""
    header, parts = unpack(content, MAGIC)
    parts = change(header.manifest, dict(parts)) or parts
    return pack(Header(*header), parts, MAGIC)
