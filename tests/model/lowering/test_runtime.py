"""The allocator that each object carries: every function of it, by address; and that compiled models keep no memory."""

import ctypes
import functools

import llvmlite.binding as llvm
import numba
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import zoo
from artifacts import again
from processes import output_of, start

from nutmill import compile_model
from nutmill.model.lowering.runtime import RESHAPE, RUNTIME
from nutmill.native.object import undefined_symbols
from nutmill.native.processor import target

COUNT, DESTRUCTOR, ARGUMENT, DATA, SIZE, USER = range(6)  # words of a block's header
TOO_MUCH = 2**62
P, N = ctypes.c_void_p, ctypes.c_int64
ITEMS_DESTRUCTOR = ctypes.CFUNCTYPE(None, P)
BLOCK_DESTRUCTOR = ctypes.CFUNCTYPE(None, P, N, P)

SIGNATURES = {
    "NRT_Allocate": (P, N),
    "NRT_Free": (None, P),
    "NRT_MemInfo_alloc": (P, N),
    "NRT_MemInfo_alloc_aligned": (P, N, ctypes.c_int32),
    "NRT_MemInfo_call_dtor": (None, P),
    "NRT_MemInfo_new_varsize": (P, N),
    "NRT_MemInfo_new_varsize_dtor": (P, N, P),
    "NRT_MemInfo_varsize_alloc": (P, P, N),
    "NRT_MemInfo_varsize_realloc": (P, P, N),
    "NRT_MemInfo_varsize_free": (None, P, P),
    "numba_attempt_nocopy_reshape": (ctypes.c_int32, N, P, P, N, P, P, N, ctypes.c_int32),
}


@functools.cache
def engine():
    module = llvm.parse_assembly(RUNTIME + RESHAPE)
    module.verify()
    made = llvm.create_mcjit_compiler(module, target().machine())
    made.finalize_object()
    return made


def call(name: str, *arguments):
    return ctypes.CFUNCTYPE(*SIGNATURES[name])(engine().get_function_address(name))(*arguments)


def words(block: int) -> list[int]:
    return list((ctypes.c_int64 * 6).from_address(block))


def set_word(block: int, word: int, value: int) -> None:
    ctypes.c_int64.from_address(block + 8 * word).value = value


def test_every_function_is_called_here():
    defined = {function.name for function in llvm.parse_assembly(RUNTIME + RESHAPE).functions}
    assert {name for name in defined if name.startswith(("NRT_", "numba_"))} == set(SIGNATURES)


def test_plain_memory():
    data = call("NRT_Allocate", 100)
    ctypes.memset(data, 7, 100)
    call("NRT_Free", data)
    call("NRT_Free", None)
    assert call("NRT_Allocate", TOO_MUCH) is None


def test_a_block_has_one_owner_and_its_data_behind_its_header():
    block = call("NRT_MemInfo_alloc", 24)
    assert words(block) == [1, 0, 0, block + 48, 24, 0]
    ctypes.memset(block + 48, 7, 24)
    assert words(block) == [1, 0, 0, block + 48, 24, 0]
    call("NRT_MemInfo_call_dtor", block)
    assert call("NRT_MemInfo_alloc", TOO_MUCH) is None


@pytest.mark.parametrize("alignment", [1, 8, 16, 32, 64, 4096])
@pytest.mark.parametrize("size", [0, 1, 8, 1000])
def test_an_aligned_block(alignment, size):
    blocks = [call("NRT_MemInfo_alloc_aligned", size, alignment) for _ in range(20)]
    for block in blocks:
        count, destructor, argument, data, n_bytes, user = words(block)
        assert (count, destructor, argument, n_bytes, user) == (1, 0, 0, size, 0)
        assert data % alignment == 0 and block + 48 <= data < block + 48 + alignment
        ctypes.memset(data, 255, size)
    assert all(words(block)[COUNT] == 1 for block in blocks)
    for block in blocks:
        call("NRT_MemInfo_call_dtor", block)


def test_too_large_an_aligned_block():
    assert call("NRT_MemInfo_alloc_aligned", TOO_MUCH, 32) is None


def test_the_destructor_of_a_block_is_told_what_it_destroys():
    calls = []
    destructor = BLOCK_DESTRUCTOR(lambda data, size, argument: calls.append((data, size, argument)))
    block = call("NRT_MemInfo_alloc", 40)
    set_word(block, DESTRUCTOR, ctypes.cast(destructor, P).value)
    set_word(block, ARGUMENT, 1234)
    data = words(block)[DATA]
    call("NRT_MemInfo_call_dtor", block)
    assert calls == [(data, 40, 1234)]


def test_a_block_that_grows():
    block = call("NRT_MemInfo_new_varsize", 16)
    count, destructor, argument, data, size, user = words(block)
    assert (count, argument, size, user) == (1, 0, 16, 0) and destructor and data
    ctypes.memmove(data, b"0123456789abcdef", 16)
    grown = call("NRT_MemInfo_varsize_realloc", block, 1 << 16)
    assert words(block) == [1, destructor, 0, grown, 1 << 16, 0]
    assert ctypes.string_at(grown, 16) == b"0123456789abcdef"
    assert call("NRT_MemInfo_varsize_realloc", block, TOO_MUCH) is None
    assert words(block) == [1, destructor, 0, grown, 1 << 16, 0]
    assert ctypes.string_at(grown, 16) == b"0123456789abcdef"
    call("NRT_MemInfo_call_dtor", block)


def test_a_block_with_other_data():
    block = call("NRT_MemInfo_new_varsize", 16)
    first = words(block)[DATA]
    assert call("NRT_MemInfo_varsize_alloc", block, TOO_MUCH) is None
    assert words(block)[DATA] == first and words(block)[SIZE] == 16
    second = call("NRT_MemInfo_varsize_alloc", block, 32)
    assert words(block)[DATA] == second != first and words(block)[SIZE] == 32
    call("NRT_MemInfo_varsize_free", block, first)
    assert words(block)[DATA] == second
    call("NRT_MemInfo_varsize_free", block, second)
    assert words(block)[DATA] == 0
    call("NRT_MemInfo_call_dtor", block)
    assert call("NRT_MemInfo_new_varsize", TOO_MUCH) is None
    assert call("NRT_MemInfo_new_varsize_dtor", TOO_MUCH, None) is None


def test_items_are_destroyed_before_their_block():
    seen = []
    destructor = ITEMS_DESTRUCTOR(lambda data: seen.append(ctypes.string_at(data, 4)))
    block = call("NRT_MemInfo_new_varsize_dtor", 8, ctypes.cast(destructor, P))
    ctypes.memmove(words(block)[DATA], b"item", 4)
    assert seen == []
    call("NRT_MemInfo_call_dtor", block)
    assert seen == [b"item"]


def reshaped(shape, strides, new_shape, item_bytes=8) -> tuple[int, list[int]]:
    arrays = [np.array([*values, -1], dtype=np.int64) for values in (shape, strides, new_shape)]
    new_strides = np.full(len(new_shape) + 1, -99, dtype=np.int64)
    pointers = [array.ctypes.data for array in (*arrays, new_strides)]
    answer = call(
        "numba_attempt_nocopy_reshape", len(shape), *pointers[:2], len(new_shape), *pointers[2:], item_bytes, 0
    )
    assert new_strides[-1] == -99, "it wrote past the end"
    return answer, new_strides[:-1].tolist()


@pytest.mark.parametrize(
    ("shape", "new_shape"),
    [
        *(((6,), (2, 3)), ((2, 3), (6,)), ((2, 3), (3, 2)), ((4, 1, 5), (20,)), ((4, 5), (2, 1, 2, 5))),
        *(((), ()), ((), (1,)), ((1, 1), ()), ((7,), (7,)), ((2, 3, 4), (4, 3, 2))),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int8"])
def test_reshaping_of_contiguous_arrays(shape, new_shape, dtype):
    array = np.zeros(shape, dtype)
    expected = list(array.reshape(new_shape).strides)
    assert reshaped(shape, array.strides, new_shape, array.itemsize) == (1, expected)


def test_lengths_of_one_may_have_any_stride():
    assert reshaped((1, 3), (999, 8), (3,)) == (1, [8])
    assert reshaped((3, 1), (8, 999), (3, 1)) == (1, [8, 8])


@pytest.mark.parametrize(
    "array", [np.zeros(12)[::2], np.zeros((3, 4)).T, np.zeros((4, 3))[:, :2], np.zeros(6)[::-1]], ids=repr
)
def test_other_arrays_are_refused(array):
    """Numba asks only for contiguous arrays; of others it is told to make a copy."""
    assert reshaped(array.shape, array.strides, (array.size,))[0] == 0


@pytest.mark.parametrize(
    ("shape", "new_shape"), [((6,), (5,)), ((6,), (2, 4)), ((2, 3), (0,)), ((0,), (1,)), ((), (2,))]
)
def test_sizes_must_agree(shape, new_shape):
    assert reshaped(shape, np.zeros(shape).strides, new_shape)[0] == 0


def test_arrays_without_values():
    assert reshaped((0,), (8,), (0, 3))[0] == 1


@numba.njit
def on_the_heap(q, gradient, data):
    """Arrays, a list that grows, a list of arrays, views in other shapes."""
    squares = [0.0]
    for i in range(q.size):
        squares.append(q[i] * data[i])
    rows = [q * data, q + data]
    rows.append(np.concatenate((q, data))[: q.size].copy())
    table = np.ones((q.size, 2)).reshape(2, q.size)
    total = 0.0
    for row in rows:
        total += row.sum() * 0.0
    gradient[:] = -q * table[0]
    return -0.5 * (q * q).sum() + 0.0 * (total + sum(squares))


def test_lists_and_reshaping_in_a_density():
    compiled = compile_model(on_the_heap, n_dim=300, data=np.ones(300))
    q = np.linspace(-1.0, 1.0, 300)
    for model in (compiled, again(compiled)):
        value, gradient = model.logp_dlogp(q)
        assert value == pytest.approx(-0.5 * (q @ q)) and (gradient == -q).all()
    needed = undefined_symbols(compiled.code.native.code)
    assert "malloc" in needed and "realloc" in needed
    assert not [name for name in needed if name.startswith(("NRT_", "numba_"))]


def failing() -> pm.Model:
    """A factorisation that fails where x is larger than one, of arrays on the heap."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0, initval=0.5)
        matrix = pt.eye(12) * (1.0 - x) + 1e-3
        pm.Potential("tie", pt.log(pt.diagonal(pt.linalg.cholesky(matrix))).sum())
    return model


MODELS = {
    "lists": lambda: compile_model(on_the_heap, n_dim=300, data=np.ones(300)),
    "factors": lambda: zoo.compiled("gaussian_process"),
    "recursion": lambda: zoo.compiled("scan"),
    "inside the support": lambda: compile_model(failing()),
}

GROWTH = """
import numpy as np, nutmill

def resident() -> int:
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

compiled = nutmill.load({path!r})
repeat = compiled.binding.repeated(np.full(compiled.n_dim, {at}))
failed = repeat(2000)
before = resident()
failed = repeat(100_000)
for _ in range(200):
    compiled.expand(np.zeros((256, compiled.n_dim)))
print(failed, resident() - before)
"""


@pytest.mark.parametrize("name", MODELS)
def test_memory_stays_as_it_is(tmp_path, name):
    path = tmp_path / "model.nut"
    compiled = MODELS[name]()
    compiled.save(path)
    assert "malloc" in undefined_symbols(compiled.code.native.code), "nothing of it is on the heap"
    failed, kilobytes = map(int, output_of(start(GROWTH.format(path=str(path), at=0.1))).split())
    assert failed == 0 and kilobytes < 5_000
