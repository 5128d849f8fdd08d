"""Installations of the package: two with one cache, one that is edited while it runs, one that nobody can write."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import environment

import nutmill
from nutmill.model.lowering import kernel
from nutmill.native.processor import for_all_models, target

HERE = for_all_models(target())
EDITED = "nuts/tree.py"
LOWER = "x86-64-v2"

# Asks for the kernel as a process does that has none yet, with something shorter to compile.
ASKS = """
import sys
from pathlib import Path
import nutmill
from nutmill.model.lowering import kernel
from nutmill.native.container import Entry
from nutmill.native.processor import for_all_models, target

def make():
    if "edit" in sys.argv:
        with open(Path(nutmill.__file__).parent / "nuts/tree.py", "a") as file:
            file.write("# edited\\n")
    return Entry({}, {"object": sys.argv[1].encode()})

print(kernel._recall("kernel-object", for_all_models(target()), make).parts["object"].decode())
"""

# Computes with the kernel, and tells what it was.
DRAWS = """
import sys
from processor_levels import pretend
pretend(sys.argv[1])
import numba, numpy as np
from nutmill import compile_model, sample_numba
from nutmill.model.lowering import kernel
from nutmill.native.processor import target

@numba.njit
def density(q, gradient, data):
    gradient[:] = -q
    return -0.5 * np.sum(q * q)

draws = sample_numba(compile_model(density, n_dim=2), draws=20, tune=20, chains=1, random_seed=1, progressbar=False)
level = kernel.for_all_models(target())
print(kernel._shipped(level) == kernel.kernel_object(target()).code, level.name)
"""


@pytest.fixture
def installation(tmp_path):
    """A copy of the package, without kernels."""
    copy = tmp_path / "one" / "nutmill"
    shutil.copytree(Path(nutmill.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "kernels"))
    return copy


def run(package: Path, code: str, *arguments: str, before: str = "", **variables: str) -> subprocess.CompletedProcess:
    """Run code in a process that imports a copy of the package; `before` are commands of the shell before it."""
    variables = environment(**variables)
    variables["PYTHONPATH"] = os.pathsep.join([str(package.parent), variables["PYTHONPATH"]])
    command = f"{before} {shlex.join([sys.executable, '-c', code, *arguments])}"
    start = ["unshare", "-m", "sh", "-c"] if before else ["sh", "-c"]
    done = subprocess.run([*start, command], env=variables, capture_output=True, text=True, timeout=300)
    if before and not done.stdout and ("unshare" in done.stderr or "mount" in done.stderr):
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done


def test_two_installations_of_one_cache(installation, tmp_path):
    """Neither takes the other's kernel if their sources differ, and each finds its own again."""
    other = tmp_path / "other" / "nutmill"
    shutil.copytree(installation, other)
    with (other / EDITED).open("a") as file:
        file.write("# another version\n")
    cache = str(tmp_path / "cache")
    given = [
        run(package, ASKS, made, NUTMILL_CACHE_DIR=cache).stdout
        for package, made in ((installation, "first"), (other, "second"), (installation, "third"), (other, "fourth"))
    ]
    assert given == ["first\n", "second\n", "first\n", "second\n"]


def test_sources_edited_while_a_process_compiles_them(installation, tmp_path):
    """What it makes of them is not kept under the name of those that it began with."""
    cache, before = str(tmp_path / "cache"), (installation / EDITED).read_bytes()
    assert run(installation, ASKS, "first", "edit", NUTMILL_CACHE_DIR=cache).stdout == "first\n"
    (installation / EDITED).write_bytes(before)
    given = [run(installation, ASKS, made, NUTMILL_CACHE_DIR=cache).stdout for made in ("second", "third")]
    assert given == ["second\n", "second\n"]


@pytest.mark.skipif(not HERE.triple.startswith("x86_64"), reason="levels are those of x86-64")
def test_a_processor_of_a_lower_level_where_nobody_can_write(installation, tmp_path, monkeypatch):
    """It takes the kernel of its level from the package; neither that nor the cache is written to."""
    if kernel._shipped(target(LOWER)) is not None:  # as an installation left it; edited sources take half a minute
        shutil.copytree(Path(nutmill.__file__).parent / "kernels", installation / "kernels")
    else:
        monkeypatch.setattr(kernel, "SHIPPED", (LOWER,))
        kernel.write_kernels(installation / "kernels")
    (tmp_path / "cache").mkdir(mode=0o700)
    here = shlex.quote(str(tmp_path))
    before = f"mount --bind -o ro {here} {here} || exit 1; touch {here}/x 2> /dev/null && exit 2;"
    done = run(installation, DRAWS, LOWER, before=before, NUTMILL_CACHE_DIR=str(tmp_path / "cache"))
    assert done.stdout == f"True {LOWER}\n"
    assert "Compiling the sampler" not in done.stderr
    assert not list((tmp_path / "cache").iterdir())
