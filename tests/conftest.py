"""Makes the helpers beside it importable from every folder, by its place; gives sessions their cache, seeds, level."""

import gc
import os
from pathlib import Path

import pytensor
import pytest
from campaigns.process_state import thread_counts
from costs import Costs
from processor_levels import pretend
from threadpoolctl import threadpool_limits

from nutmill.files import CODE_MODE, cache_folder, replace_file
from nutmill.layout.blas.find import installed_blas
from nutmill.native import cache

# What one installation compiles once, in ten seconds: shared between sessions. Models are not.
KERNEL = "kernel-*.entry"
SELDOM = 50_000  # new objects between two looks: a twentieth of the CPU time of tests would go into them
CODE, READING = ("model", "functions"), "reading"  # kinds of entries

_load = cache.load


def pytest_addoption(parser):
    """Add options: docs/testing.md says what for."""
    parser.addoption("--seeds", default="0", metavar="A-B", help="seeds of the statistical tests, 3 or 0-19")
    parser.addoption("--costs", action="store_true", help="say what tests cost, by folder, in CPU seconds")
    parser.addoption("--target", default="native", metavar="LEVEL", help="run as on a processor of it, x86-64-v3 say")


def pytest_configure(config):
    """Take the level before anything is compiled; look for garbage seldom, as nutmill does where it compiles."""
    gc.set_threshold(SELDOM, *gc.get_threshold()[1:])
    if config.getoption("--costs"):
        config.pluginmanager.register(Costs())
    if config.getoption("--target") != "native":
        pretend(config.getoption("--target"))


def pytest_generate_tests(metafunc):
    """Run a test that takes `seed`, and none of its own, once for each that is asked for; mark it as statistical."""
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "seed" in metafunc.fixturenames and "seed" not in own:
        first, _, last = metafunc.config.getoption("--seeds").partition("-")
        seeds = range(int(first), int(last or first) + 1)
        metafunc.parametrize("seed", [pytest.param(n, marks=pytest.mark.statistical, id=f"seed{n}") for n in seeds])


def pytest_collection_modifyitems(items):
    """Refuse names that differ from process to process: workers that test side by side have to agree on them."""
    unlike = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if unlike:
        raise pytest.UsageError(f"give these tests ids without addresses: {unlike[0]} and {len(unlike) - 1} more")


def copy_kernel(source: Path, target: Path) -> None:
    """Copy the compiled kernel from one cache folder to another, where it is not there yet."""
    for path in source.glob(KERNEL):
        if not (target / path.name).exists():
            target.mkdir(0o755, parents=True, exist_ok=True)
            replace_file(target / path.name, path.read_bytes(), mode=CODE_MODE)


def folder_of_the_session(factory) -> Path:
    """Where the session keeps its cache: one folder, of several workers of pytest-xdist too, new in each session."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(0o755, exist_ok=True)
    return folder


def load_none_of(patch, *kinds: str) -> None:
    """Let the cache answer as if it had no entries of some kinds."""
    patch.setattr(cache, "load", lambda kind, *rest: None if kind in kinds else _load(kind, *rest))


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(tmp_path_factory):
    """Compile the code of a model once in this session: what an earlier one has compiled does not answer for it.

    Every model is read anew, so that a test sees the same whether or not another had the model before it.
    """
    users, own = cache_folder(), folder_of_the_session(tmp_path_factory)
    copy_kernel(users, own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUTMILL_CACHE_DIR", str(own))
        patch.delenv("NUTMILL_CACHE_LIMIT", raising=False)
        load_none_of(patch, READING)
        yield own
    copy_kernel(own, users)


@pytest.fixture(scope="session", autouse=True)
def without_traces():
    """Let PyTensor not note, for each variable, which lines have made it: a twenty-fifth of the CPU time of tests."""
    with pytensor.config.change_flags(traceback__limit=0, traceback__compile_limit=0):
        yield


@pytest.fixture
def compiled_anew(monkeypatch) -> None:
    """Compile what the test compiles, for tests of compiling: code of the session does not answer in its place."""
    load_none_of(monkeypatch, READING, *CODE)


@pytest.fixture
def model_cache(monkeypatch, tmp_path, cache_of_the_session) -> Path:
    """A cache that works as users have it, without any model in it."""
    folder = tmp_path / "cache"
    copy_kernel(cache_of_the_session, folder)
    monkeypatch.setenv("NUTMILL_CACHE_DIR", str(folder))
    monkeypatch.setattr(cache, "load", _load)
    return folder


@pytest.fixture
def process_as_it_was():
    """See that the test leaves pools, limits and pins as it found them, in every thread."""
    installed_blas()  # a library that is loaded later would count as a change
    before = thread_counts(), os.sched_getaffinity(0)
    yield
    assert (thread_counts(), os.sched_getaffinity(0)) == before
    with threadpool_limits(3):  # no thread that has ended, or goes on, keeps others from setting limits
        assert set(thread_counts().values()) == {3}
    assert thread_counts() == before[0]


@pytest.fixture
def counted():
    """Let Numba count what is allocated and given back."""
    from numba.core.runtime import _nrt_python

    were_on = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    yield
    if not were_on:
        _nrt_python.memsys_disable_stats()
