"""Numba stopped at bitcode: what Python could call before, it can call within and after; nothing else is changed."""

import gc
import importlib.util
import sys
import threading
import weakref

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from numba import types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher
from processes import output_of, start

from nutmill import compile_model
from nutmill.model.lowering import bitcode
from nutmill.model.lowering.bitcode import bitcode_only

NUMBER, COUNT, VECTOR = (types.float64,), (types.int64,), (types.float64[::1],)


def pair():
    """Two functions that no test has seen; the second calls the first."""

    @numba.njit
    def inner(x):
        return x + 1

    @numba.njit
    def outer(x):
        return 2 * inner(x)

    return inner, outer


def patched() -> list:
    """What the block replaces, as it is now."""
    places = [(owner, name) for owner, name, _ in bitcode._REPLACEMENTS] + [(Dispatcher, "add_overload")]
    return [getattr(owner, name) for owner, name in places]


BEFORE = patched()


def take_lock() -> None:
    with global_compiler_lock:
        pass


def test_elements_are_found_without_arithmetic_of_integers():
    """LLVM loses what a pointer points into where it comes from an integer, as those of Numba before 0.67 do."""

    @numba.njit
    def second_of_column(x):
        return x[1, 0]

    with bitcode_only():
        second_of_column.compile((types.float64[:, :],))
        (result,) = second_of_column.overloads.values()
        text = str(llvm.parse_bitcode(result.library._get_module_for_linking().as_bitcode()))
    assert "getelementptr" in text and "inttoptr" not in text


def test_result_is_bitcode_that_links_alone():
    inner, outer = pair()
    with bitcode_only():
        outer.compile(NUMBER)
        result = outer.overloads[NUMBER]
        module = llvm.parse_bitcode(result.library._get_module_for_linking().as_bitcode())
        assert result.library.get_pointer_to_function(result.fndesc.llvm_func_name) == 0
    module.verify()
    defined = {function.name for function in module.functions if not function.is_declaration}
    assert result.fndesc.llvm_func_name in defined
    assert not any(inner.__name__ in f.name for f in module.functions if f.is_declaration)


def test_python_calls_before_within_and_after():
    inner, outer = pair()
    assert outer(1.5) == 5.0
    callable_before = dict(outer.overloads)
    with bitcode_only():
        assert outer(1.5) == 5.0
        inner.compile(NUMBER), outer.compile(NUMBER), outer.compile(COUNT)
        assert outer(1.5) == 5.0
    assert dict(outer.overloads) == callable_before and list(inner.overloads) == [NUMBER]
    assert (outer(1.5), outer(3), inner(0.5)) == (5.0, 8, 1.5)
    assert list(outer.overloads) == [NUMBER, COUNT]


def test_what_was_compiled_within_is_compiled_anew_outside():
    inner, outer = pair()
    with bitcode_only():
        outer.compile(NUMBER)
        put_away = outer.overloads[NUMBER]
    assert not outer.overloads and not inner.overloads
    assert outer(1.0) == 4.0
    assert outer.overloads[NUMBER] is not put_away
    # Callable as it is, it serves a block as well.
    with bitcode_only():
        assert outer(1.0) == 4.0
        inner.compile(COUNT)
    assert (outer(1.0), inner(1)) == (4.0, 2)


def test_the_next_block_takes_up_what_was_put_away():
    inner, outer = pair()
    with bitcode_only():
        outer.compile(NUMBER)
        results = outer.overloads[NUMBER], inner.overloads[NUMBER]
    for _ in range(2):
        with bitcode_only():
            assert (outer.overloads[NUMBER], inner.overloads[NUMBER]) == results
            outer.compile(COUNT)
    with bitcode_only():
        assert list(outer.overloads) == [NUMBER, COUNT]


def test_block_within_a_block():
    inner, outer = pair()
    with bitcode_only():
        inner.compile(NUMBER)
        with bitcode_only():
            outer.compile(NUMBER)
        assert list(inner.overloads) == [NUMBER] and not outer.overloads
        outer.compile(COUNT)
    assert patched() == BEFORE
    assert not inner.overloads and not outer.overloads
    with bitcode_only():
        assert set(outer.overloads) == {NUMBER, COUNT}
    assert outer(1.0) == 4.0


def test_exception_within_restores_everything():
    inner, outer = pair()
    with pytest.raises(ZeroDivisionError), bitcode_only():
        assert patched() != BEFORE
        outer.compile(NUMBER)
        raise ZeroDivisionError
    assert patched() == BEFORE
    assert not outer.overloads and not inner.overloads
    assert outer(1.0) == 4.0
    with pytest.raises(numba.TypingError), bitcode_only():
        outer.compile((types.unicode_type,))
    assert patched() == BEFORE
    thread = threading.Thread(target=take_lock)
    thread.start()
    thread.join(10.0)
    assert not thread.is_alive()


def test_other_threads_wait_to_compile():
    inner, outer = pair()
    _, known = pair()
    assert known(1.0) == 4.0
    found = {}

    def call_others():
        found["known"] = known(1.0)
        # Compiled in the block already, which must not be seen from here.
        found["new"] = outer(1.0), inner(2)

    with bitcode_only():
        outer.compile(NUMBER)
        thread = threading.Thread(target=call_others)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and found == {"known": 4.0}
        outer.compile(COUNT)
    thread.join(60.0)
    assert found["new"] == (4.0, 3)


def test_forgotten_functions_are_released():
    inner, outer = pair()
    with bitcode_only():
        outer.compile(NUMBER)
        outer.compile(COUNT)
        entry_points = [result.entry_point for function in (inner, outer) for result in function.overloads.values()]
    context = outer.targetctx
    assert all(entry_point in context._defns for entry_point in entry_points)
    assert inner in bitcode._put_away
    assert outer in bitcode._put_away
    references = weakref.ref(inner), weakref.ref(outer)
    del inner, outer
    gc.collect()
    assert [reference() for reference in references] == [None, None]  # and so no keys of `_put_away` any more
    assert not any(entry_point in context._defns for entry_point in entry_points)


def test_functions_that_are_kept_on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    numba.core.config.reload_config()
    path = tmp_path / "kept_on_disk.py"
    path.write_text("import numba\n\n\n@numba.njit(cache=True)\ndef twice(x):\n    return 2 * x\n")
    spec = importlib.util.spec_from_file_location("kept_on_disk", path)

    def load():
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "kept_on_disk", module)
        spec.loader.exec_module(module)
        return module.twice

    for n_found in (0, 1):
        twice = load()
        with bitcode_only():
            twice.compile(NUMBER)
        assert sum(twice.stats.cache_hits.values()) == n_found
        assert twice(4.0) == 8.0
    monkeypatch.undo()
    numba.core.config.reload_config()


def test_universal_functions_stay_callable():
    @numba.vectorize
    def tripled(x):
        return 3 * x

    @numba.guvectorize("(n)->()")
    def total(x, out):
        out[0] = x.sum()

    @numba.njit
    def both(x):
        out = np.zeros(1)
        total(tripled(x), out)
        return out[0]

    with bitcode_only():
        both.compile(VECTOR)
    np.testing.assert_array_equal(tripled(np.arange(3.0)), [0.0, 3.0, 6.0])
    out = np.zeros(1)
    total(np.arange(3.0), out)
    assert out[0] == 3.0 and both(np.arange(3.0)) == 9.0


def test_first_compile_of_a_process():
    code = """
import numba, numpy as np
from nutmill.model.lowering.bitcode import bitcode_only
f = numba.njit(lambda x: x + 1.0)
with bitcode_only():
    f.compile((numba.float64[::1],))
print(numba.njit(lambda x: np.sort(x)[::-1].copy())(np.arange(3.0)), f(np.arange(2.0)))
"""
    assert output_of(start(code)).strip() == "[2. 1. 0.] [1. 2.]"


def test_density_of_the_users_stays_callable():
    @numba.njit
    def half_square(x):
        return -0.5 * x * x

    @numba.njit
    def density(q, gradient, data):
        lp = 0.0
        for i in range(q.size):
            gradient[i] = data[0] - q[i]
            lp += half_square(q[i] - data[0])
        return lp

    q, gradient, data = np.array([1.0, 2.0]), np.empty(2), np.array([0.5])
    expected = -1.25
    assert half_square(2.0) == -2.0
    for call_first in (True, False):
        if call_first:
            assert density(q, gradient, data) == expected
        compiled = compile_model(density, n_dim=2, data=data)
        value, found = compiled.logp_dlogp(q)
        assert value == expected
        np.testing.assert_array_equal(found, [-0.5, -1.5])
        assert density(q, gradient, data) == expected and half_square(2.0) == -2.0
        np.testing.assert_array_equal(gradient, found)
