"""Large arrays of native code stay from one gradient to the next, belong to one owner, and are given back."""

import ctypes
import functools
from concurrent.futures import ThreadPoolExecutor

import llvmlite.binding as llvm
import numpy as np
import pymc as pm
import pytest
from processes import output_of, start

from nutmill import compile_model
from nutmill.model.lowering.blocks import BLOCKS, CAPACITY, LARGE, SLOTS
from nutmill.native.object import RELEASE
from nutmill.native.processor import target

P, N = ctypes.c_void_p, ctypes.c_int64
SIGNATURES = {"nutmill_block": (P, N), "nutmill_give": (None, P), RELEASE: (None,)}


@functools.cache
def engine():
    text = BLOCKS
    for name in SIGNATURES:  # so that they can be found from here
        text = text.replace(f"internal noalias ptr @{name}", f"ptr @{name}").replace(
            f"internal void @{name}", f"void @{name}"
        )
    made = llvm.create_mcjit_compiler(
        llvm.parse_assembly(text.replace("= internal global", "= global")), target().machine()
    )
    made.finalize_object()
    return made


@functools.cache
def function(name: str):
    return ctypes.CFUNCTYPE(*SIGNATURES[name])(engine().get_function_address(name))


def take(size: int) -> int:
    return function("nutmill_block")(size)


def give(block: int) -> None:
    function("nutmill_give")(block)


def kept() -> list[int]:
    """Addresses of the blocks that wait."""
    words = (N * SLOTS).from_address(engine().get_global_value_address("nutmill_kept"))
    return [word for word in words if word]


def capacity(block: int) -> int:
    return N.from_address(block + CAPACITY).value


@pytest.fixture(autouse=True)
def none_kept():
    function(RELEASE)()
    yield
    function(RELEASE)()
    assert kept() == []


def test_a_large_block_comes_back():
    block = take(10 * LARGE)
    assert capacity(block) == 10 * LARGE
    give(block)
    assert kept() == [block]
    assert take(10 * LARGE) == block and kept() == []
    give(block)


def test_a_small_block_is_malloc_s_business():
    block = take(LARGE - 1)
    assert capacity(block) == 0
    give(block)
    assert kept() == []


@pytest.mark.parametrize(("size", "fits"), [(5, True), (10, True), (4, False), (11, False)])
def test_a_block_serves_what_needs_half_of_it_at_least(size, fits):
    block = take(10 * LARGE)
    give(block)
    other = take(size * LARGE)
    assert (other == block) is fits
    assert kept() == ([] if fits else [block])
    assert capacity(other) == (10 if fits else size) * LARGE
    give(other)


def test_more_blocks_than_places():
    blocks = [take(LARGE) for _ in range(SLOTS + 20)]
    assert len(set(blocks)) == len(blocks)
    for block in blocks:
        give(block)
    assert sorted(kept()) == sorted(blocks[:SLOTS])
    assert sorted(take(LARGE) for _ in range(SLOTS)) == sorted(blocks[:SLOTS])
    for block in blocks[:SLOTS]:
        give(block)


def test_no_room():
    assert take(2**62) is None


def test_a_block_has_one_owner_whatever_threads_do():
    def take_and_give(worker: int) -> int:
        rng = np.random.default_rng(worker)
        held, broken = [], 0
        for turn in range(3000):
            if len(held) < 6:
                block = take(int(rng.integers(1, 4)) * LARGE)
                mark = 1000 * turn + worker
                N.from_address(block + LARGE - 8).value = mark
                held.append((block, mark))
            else:
                block, mark = held.pop(int(rng.integers(6)))
                broken += N.from_address(block + LARGE - 8).value != mark
                give(block)
        for block, _ in held:
            give(block)
        return broken

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(take_and_give, range(8))) == 0
    assert len(set(kept())) == len(kept()) > 0


def large_process() -> pm.Model:
    """A Gaussian process whose matrices are of two megabytes."""
    x = np.linspace(0.0, 5.0, 500)
    with pm.Model() as model:
        process = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=pm.Exponential("length_scale", 1.0)))
        process.marginal_likelihood("y", X=x[:, None], y=np.sin(x), sigma=pm.Exponential("noise", 1.0))
    return model


FAULTS = """
import resource, numpy as np, nutmill
from nutmill import Layout, sample_numba
from nutmill.layout.applied import apply_layout

compiled = nutmill.load({path!r})
q = np.zeros(compiled.n_dim)
repeat = compiled.binding.repeated(q)
keep_nothing = dict(draws=2, tune=2, chains=2, random_seed=1, progressbar=False, compute_convergence_checks=False)

def tell(work):
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    work()
    print(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)

with apply_layout(Layout(1)):
    repeat(1)
    compiled.binding.release()
    tell(lambda: repeat(1))
    tell(lambda: repeat(5))
    compiled.binding.release()
    tell(lambda: repeat(1))
    compiled.binding.release()
    compiled.logp_dlogp(q)
    tell(lambda: compiled.logp_dlogp(q))
    sample_numba(compiled, **keep_nothing)
    tell(lambda: repeat(1))
"""


def test_pages_are_cleared_once_and_given_back(tmp_path, monkeypatch):
    # malloc then maps every block of this size, whatever it has given before.
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", str(LARGE))
    compile_model(large_process()).save(tmp_path / "model.nut")
    first, later, after_release, after_one, after_run = map(
        int, output_of(start(FAULTS.format(path=str(tmp_path / "model.nut")))).split()
    )
    assert first > 1000, "its arrays are not large"
    assert later < 0.01 * first
    assert after_release == pytest.approx(first, rel=0.1)
    # What asks once, and a run that is over, keep nothing.
    assert after_one == pytest.approx(first, rel=0.1)
    assert after_run == pytest.approx(first, rel=0.1)
