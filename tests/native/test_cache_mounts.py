"""The cache on a disk that is really full and on one that is really read-only, where this user may mount such disks."""

import shlex
import subprocess
import sys

import pytest
from processes import environment

from nutmill.native import cache, cache_space
from nutmill.native.container import Entry

CODE = """
import sys
from nutmill.native import cache
from nutmill.native.container import Entry
big, small = (Entry({}, {"object": bytes(n)}) for n in (200_000, 5))
print(cache.load("thing", "old", {}) == small)
print(cache.store("thing", "a", {}, big), cache.store("thing", "b", {}, small))
"""


def with_mount(options: list[str], folder) -> list[str]:
    """Run `CODE` in a process for which something is mounted at `folder`."""
    run = shlex.join([sys.executable, "-c", CODE])
    script = f"{shlex.join(['mount', *options, str(folder)])} || exit 77; {run}"
    variables = environment(NUTMILL_CACHE_DIR=str(folder))
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], env=variables, capture_output=True, text=True)
    if done.returncode in (1, 77) and not done.stdout:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_full_disk(tmp_path):
    """What fits is kept, what does not is not, and nothing is left over."""
    assert with_mount(["-t", "tmpfs", "-o", "size=64k", "none"], tmp_path) == ["False", "False", "True"]


def test_a_read_only_disk(model_cache):
    cache.store("thing", "old", {}, Entry({}, {"object": bytes(5)}))
    assert with_mount(["--bind", "-o", "ro", str(model_cache)], model_cache) == ["True", "False", "False"]
    assert [stored.header.key for stored in cache_space.listing() if stored.header.kind == "thing"] == ["old"]
