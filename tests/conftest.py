"""Makes the helpers beside it importable from every folder, by its place; gives each session a cache of its own."""

import shutil
from pathlib import Path

import pytest

from nutmill.files import cache_folder
from nutmill.native import cache

# What one installation compiles once, in ten seconds: shared between sessions. Models are not.
KERNEL = "kernel-*.entry"
OF_MODELS = ("model", "functions")

_load = cache.load


def copy_kernel(source: Path, target: Path) -> None:
    """Copy the compiled kernel from one cache folder to another, where it is not there yet."""
    for path in source.glob(KERNEL):
        if not (target / path.name).exists():
            target.mkdir(0o755, parents=True, exist_ok=True)
            shutil.copy2(path, target)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(tmp_path_factory):
    """Compile every model anew: what an earlier test or session has compiled must not answer for this one."""
    users, own = cache_folder(), tmp_path_factory.mktemp("cache")
    copy_kernel(users, own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUTMILL_CACHE_DIR", str(own))
        patch.delenv("NUTMILL_CACHE_LIMIT", raising=False)
        patch.setattr(cache, "load", lambda kind, *rest: None if kind in OF_MODELS else _load(kind, *rest))
        yield own
    copy_kernel(own, users)


@pytest.fixture
def model_cache(monkeypatch, tmp_path, cache_of_the_session) -> Path:
    """A cache that works as users have it, without any model in it."""
    folder = tmp_path / "cache"
    copy_kernel(cache_of_the_session, folder)
    monkeypatch.setenv("NUTMILL_CACHE_DIR", str(folder))
    monkeypatch.setattr(cache, "load", _load)
    return folder
