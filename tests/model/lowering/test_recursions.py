"""Scans as loops of our own: states, taps, sequences, what is collected, early ends; against plain loops of NumPy."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from model.lowering.test_steps import assert_gradient
from numba.core.runtime import rtsys
from pymc.logprob.utils import CheckParameterValue
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.scan.op import Scan
from pytensor.scan.utils import until

from benchmarks import models
from nutmill import ModelError, compile_model
from nutmill.model.lowering.inline import graph_function
from nutmill.model.lowering.inline.foreign import noting_foreign
from nutmill.model.lowering.inline.recursion import recursions
from nutmill.model.lowering.slots import declare_slots
from nutmill.model.rewriting.rewrite import rewrite

ZERO, ONE = np.float64(0.0), np.float64(1.0)


def scan(*arguments, **options):
    """PyTensor's, without the updates that it used to give."""
    return pytensor.scan(*arguments, **options, return_updates=False)


def compiled(inputs, outputs):
    """Rewrite and compile a graph; no part of it is PyTensor's Numba form."""
    declare_slots()
    with pytensor.config.change_flags(cxx=""), noting_foreign() as by_numba:
        fgraph = rewrite(inputs, [], outputs, hoist=False).fgraph
        assert any(isinstance(node.op, Scan) for node in fgraph.apply_nodes), "the scan was rewritten away"
        function = numba_njit(graph_function(fgraph).py_func, final_function=True)

        def call(*values):
            given = [np.array(value, kind.type.dtype, copy=True) for value, kind in zip(values, inputs, strict=True)]
            return function(*given)

        call.by_numba = by_numba
        return call


@pytest.fixture(scope="module")
def histories():
    """Several scans of one series: what they keep is all, the last values, or both."""
    y, a = pt.dvector(), pt.dscalar()
    two_back = scan(lambda before, last, a: a * before - last, None, [{"initial": y[:2], "taps": [-2, -1]}], [a], 7)
    lagged = scan(
        lambda now, old, state: now - old + 0.5 * state, [{"input": y, "taps": [0, -2]}], [{"initial": ONE}], [], None
    )
    both, squares = scan(lambda now, state, a: (a * state + now, now**2), [y], [ZERO, None], [a])
    last = scan(lambda now, x, z, a: x + a * z + now, [y], [{"initial": y[:3], "taps": [-3, -1]}], [a])[-1]
    return compiled([y, a], [two_back, lagged, both, squares, both[-1], last])


def plain_histories(y, a):
    """The same in plain Python."""
    x = [*y[:2]]
    for _ in range(7):
        x.append(a * x[-2] - x[-1])
    lagged = [1.0]
    for now, old in zip(y[2:], y[:-2], strict=True):
        lagged.append(now - old + 0.5 * lagged[-1])
    both = [0.0]
    for now in y:
        both.append(a * both[-1] + now)
    long = [*y[:3]]
    for now in y:
        long.append(long[-3] + a * long[-1] + now)
    return x[2:], lagged[1:], both[1:], y**2, both[-1], long[-1]


@pytest.mark.parametrize("length", [3, 4, 11])
def test_histories(histories, length):
    y = np.random.default_rng(length).normal(size=length)
    for found, expected in zip(histories(y, 0.7), plain_histories(y, 0.7), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.fixture(scope="module")
def arrays():
    """States that are vectors and matrices of open lengths; sequences that lie backwards and by columns."""
    x, y, start, square = pt.dmatrix(), pt.dmatrix(), pt.dvector(), pt.dmatrix()

    def step(row, column, vector, matrix, square):
        matrix = pt.dot(matrix, square) + row[:, None]
        return pt.tanh(pt.dot(square, vector)) + column, matrix, matrix.sum(axis=0), matrix.max()

    found = scan(step, [x[::-1], y.T], [start, square, None, None], [square])
    swapped = scan(lambda a, b: [b, a], None, [start, 2 * start], None, 3)
    return compiled([x, y, start, square], [*found, found[0][-1], *swapped])


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_arrays(arrays, n):
    rng = np.random.default_rng(n)
    x, y, start, square = rng.normal(size=(n, 3)), rng.normal(size=(3, n)), rng.normal(size=3), rng.normal(size=(3, 3))
    vectors, matrices = [start], [square]
    for row, column in zip(x[::-1], y.T, strict=True):
        vectors.append(np.tanh(square @ vectors[-1]) + column)
        matrices.append(matrices[-1] @ square + row[:, None])
    sums, largest = ([f(m) for m in matrices[1:]] for f in (lambda m: m.sum(axis=0), np.max))
    expected = [vectors[1:], matrices[1:], sums, largest, vectors[-1], [2 * start, start, 2 * start]]
    for found, right in zip(arrays(x, y, start, square), [*expected, [start, 2 * start, start]], strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-12)


def test_steps_allocate_nothing(counted, arrays):
    def allocated(n, width=40):
        given = np.zeros((n, width)), np.zeros((width, n)), np.zeros(width), np.zeros((width, width))
        before = rtsys.get_allocation_stats()
        arrays(*given)
        after = rtsys.get_allocation_stats()
        assert after.alloc - before.alloc == after.free - before.free
        return after.alloc - before.alloc

    assert allocated(10) == allocated(40)


@pytest.fixture(scope="module")
def early_end():
    """Powers of two up to a bound, and how many there are."""
    bound, most = pt.dscalar(), pt.lscalar()

    def step(number, count, bound):
        return (2 * number, count + 1, number > 0), until(2 * number >= bound)

    return compiled([bound, most], scan(step, None, [ONE, np.int64(0), None], [bound], most))


@pytest.mark.parametrize(("bound", "most", "powers"), [(9.0, 20, [2, 4, 8, 16]), (9.0, 2, [2, 4]), (1.0, 5, [2])])
def test_an_early_end(early_end, bound, most, powers):
    found, counts, flags = early_end(bound, most)
    np.testing.assert_array_equal(found, powers)
    np.testing.assert_array_equal(counts, np.arange(1, len(powers) + 1))
    assert counts.dtype == np.int64 and flags.dtype == bool and flags.all() and len(flags) == len(powers)


def test_no_steps(early_end):
    assert [len(each) for each in early_end(9.0, 0)] == [0, 0, 0]


def test_a_scan_in_a_scan():
    x, a = pt.dmatrix(), pt.dscalar()

    def inner(now, state, a):
        return a * state + now

    def outer(line, total, a):
        states = scan(inner, [line], [total], [a])
        return states[-1], states

    function = compiled([x, a], scan(outer, [x], [ZERO, None], [a]))
    given = np.random.default_rng(0).normal(size=(4, 3))
    state, rows = 0.0, []
    for line in given:
        rows.append([])
        for now in line:
            state = 0.9 * state + now
            rows[-1].append(state)
    totals, found = function(given, 0.9)
    np.testing.assert_allclose(found, rows, rtol=1e-14)
    np.testing.assert_allclose(totals, np.array(rows)[:, -1], rtol=1e-14)


def test_gradients():
    """By differences: of a state with taps, a vector, a scan within a scan, and one that ends by its own values."""
    a, b = pt.dscalar("a"), pt.dscalar("b")
    y = pt.as_tensor(np.random.default_rng(2).normal(size=7))
    taps = scan(
        lambda now, x, z, a, b: a * x + pt.sin(b * z) + now,
        [y],
        [{"initial": pt.stack([a, ONE, b]), "taps": [-3, -1]}],
        [a, b],
    )
    vectors = scan(lambda now, v, a, b: pt.tanh(v[::-1] * a + now) + b * v, [y], [pt.stack([a, b, a * b, ONE])], [a, b])
    nested = scan(lambda now, x, a: scan(lambda z, a: pt.sin(a * z + now), None, [x], [a], 3)[-1], [y], [b], [a])
    ended = scan(lambda x, b: (x * pt.exp(b) + ONE, until(x > 4.0)), None, [a + 2.0], [b], 20)
    compiled = compile_model(
        (taps**2).sum() + vectors[-1].sum() + pt.log(nested**2).sum() + ended.sum() + ended[-1],
        start={"a": 0.0, "b": 0.0},
    )
    assert compiled.code.fused and not compiled.code.by_numba
    assert_gradient(compiled)


def test_a_check_of_parameters_in_a_step_is_read_as_a_number():
    """As in a likelihood that PyMC derives from steps of random variables: its check is a number, no array."""
    y, a = pt.dvector(), pt.dscalar()
    positive = CheckParameterValue("a > 0", can_be_replaced_by_ninf=True)
    checked = compiled([y, a], [scan(lambda now, x, a: positive(now + 0.5 * x, a > 0.0), [y], [ZERO], [a])])
    assert not checked.by_numba
    np.testing.assert_array_equal(checked([0.0, 1.0, 2.0], 1.0)[0], [0.0, 1.0, 2.5])
    np.testing.assert_array_equal(checked([0.0, 1.0, 2.0], -1.0)[0], [-np.inf] * 3)


def test_none_is_foreign(histories, arrays, early_end):
    assert not histories.by_numba and not arrays.by_numba and not early_end.by_numba


@pytest.mark.usefixtures("compiled_anew")
def test_a_scan_of_a_later_pytensor_is_left_to_it(monkeypatch):
    """What a scan says beyond what is known here may mean anything."""
    x = pt.dscalar("x")
    graph = scan(lambda state, x: pt.sin(x + state), None, [ONE], [x], 4)[-1]
    ours = compile_model(graph, start={"x": 0.0})
    monkeypatch.setattr(recursions, "_KNOWN", recursions._KNOWN - {"as_while"})
    theirs = compile_model(graph, start={"x": 0.0})
    assert (ours.code.by_numba, theirs.code.by_numba) == ((), ("Scan",))
    at = np.array([0.3])
    for found, expected in zip(ours.logp_dlogp(at), theirs.logp_dlogp(at), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_what_does_not_fit():
    x, n = pt.dvector(), pt.lscalar()
    long = compiled([x, n], [scan(lambda now, state: now + state, [x], [ZERO], [], n)])
    np.testing.assert_array_equal(long([1.0, 2.0, 3.0], 2)[0], [1.0, 3.0])
    with pytest.raises(
        ValueError, match="a sequence of a scan in the model has fewer elements than the scan has steps"
    ):
        long([1.0, 2.0, 3.0], 4)
    grows = compiled([x, n], [scan(lambda state: pt.concatenate([state, state]), None, [x], None, n)])
    with pytest.raises(ValueError, match="a scan in the model gives an array of another shape"):
        grows([1.0], 2)


@pytest.mark.parametrize(
    "name",
    [name if name == "euler_maruyama" else pytest.param(name, marks=pytest.mark.slow) for name in models.RECURSIONS],
)
def test_models_as_users_write_them(name):
    compiled = compile_model(models.build(name))
    assert compiled.code.fused and compiled.code.stands_alone and not compiled.code.by_numba
    rng, step = np.random.default_rng(3), 1e-3
    q, direction = rng.normal(0.0, 0.3, (2, compiled.n_dim))
    values = [compiled.logp_dlogp(q + n * step * direction)[0] for n in (-2, -1, 1, 2)]
    slope = compiled.logp_dlogp(q)[1] @ direction
    assert slope == pytest.approx(np.dot([1, -8, 8, -1], values) / (12 * step), rel=1e-7)


def test_new_data_of_another_length():
    """The number of steps is a length of the data; more steps than data are refused, and not read beyond their end."""
    rng = np.random.default_rng(0)
    with pm.Model() as model:
        y, phi = pm.Data("y", rng.normal(size=6)), pm.Flat("phi")
        squares = [
            scan(lambda now, state, phi: phi * state + now, [y], [ZERO], [phi], n_steps) ** 2 for n_steps in (None, 4)
        ]
        pm.Potential("terms", -0.5 * squares[0].sum() - 0.5 * squares[1].sum())
    compiled = compile_model(model)

    def terms(y, phi):
        states = [0.0]
        for now in y:
            states.append(phi * states[-1] + now)
        return -0.5 * np.sum(np.square(states)) - 0.5 * np.sum(np.square(states[:5]))

    for length in (6, 20, 4):
        y, step = rng.normal(size=length), 1e-3
        value, (gradient,) = compiled.with_data(y=y).logp_dlogp(np.array([0.4]))
        assert value == pytest.approx(terms(y, 0.4), rel=1e-13)
        values = [terms(y, 0.4 + n * step) for n in (-2, -1, 1, 2)]
        assert gradient == pytest.approx(np.dot([1, -8, 8, -1], values) / (12 * step), rel=1e-8)
    with pytest.raises(ModelError, match="cannot be evaluated with these data"):
        compiled.with_data(y=rng.normal(size=3))
