"""Operations that would run in Python, in nutmill's own forms: against SciPy, NumPy and differences."""

import warnings

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import scipy.linalg
import scipy.signal
from model.inlining import INTERPRETED, assert_agrees, everywhere, inlined
from numpy.testing import assert_allclose, assert_array_equal
from pymc.distributions.dist_math import SplineWrapper
from pymc.distributions.multivariate import matrix_pos_def
from pytensor.ifelse import ifelse
from scipy.interpolate import InterpolatedUnivariateSpline, UnivariateSpline

from nutmill import compile_model
from nutmill.model.lowering.slots import declare_slots
from nutmill.model.rewriting.blas.ops import LeanExponential
from nutmill.model.rewriting.convolution import Convolution

NUMBERS = np.array([0.3, -1.0, np.nan, 0.3, np.inf, 2.0, -np.inf, 0.0, -0.0, 1e300])


def native(model):
    """Compile a model, of which nothing may run in Python or be tied to this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = compile_model(model)
    assert compiled.code.stands_alone
    return compiled


def assert_slopes(compiled, position) -> None:
    """The gradient is what differences of fourth order give."""
    step, gradient = 1e-3, compiled.logp_dlogp(position)[1]
    for unit, slope in zip(np.eye(len(position)), gradient, strict=True):
        values = [compiled.logp_dlogp(position + n * step * unit)[0] for n in (-2, -1, 1, 2)]
        assert slope == pytest.approx(np.dot([1, -8, 8, -1], values) / (12 * step), rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(side):
    ordered, wanted, numbers = pt.vector("ordered"), pt.matrix("wanted"), pt.lvector("numbers")
    in_order = np.array([-np.inf, -1.0, 0.3, 0.3, 0.3, 2.0, np.inf, np.nan])
    outputs = [pt.searchsorted(ordered, wanted, side=side), pt.searchsorted(ordered, numbers, side=side)]
    points = [[layout, NUMBERS.reshape(2, 5), np.array([2, -7, 0])] for layout in everywhere(in_order).values()]
    points += [[in_order[:n], NUMBERS.reshape(2, 5), np.array([2, 3])] for n in (0, 1, 2, 3)]
    for point in points[:3]:
        assert_agrees([ordered, wanted, numbers], outputs, point)
    function = inlined([ordered, wanted, numbers], outputs)
    for first, second, third in points:
        for found, of in zip(function(first, second, third), (second, third), strict=True):
            assert_array_equal(found, np.searchsorted(first, of, side=side))


def test_sorting():
    x = pt.matrix("x")
    outputs = [
        pt.sort(x, axis=0),
        pt.sort(x, axis=-1),
        pt.argsort(x, axis=0, kind="stable"),
        pt.argsort(x, kind="stable"),
    ]
    rng = np.random.default_rng(1)
    points = [[layout] for layout in everywhere(NUMBERS.reshape(2, 5)).values()]
    points += [[rng.integers(0, 9, (n, 40)).astype(float)] for n in (0, 1, 2, 3, 37)]
    function = inlined([x], outputs)
    for (matrix,) in points:
        found = function(matrix)
        assert_array_equal(found[0], np.sort(matrix, axis=0))
        assert_array_equal(found[1], np.sort(matrix, axis=-1))
        assert_array_equal(found[2], np.argsort(matrix, axis=0, kind="stable"))
        assert_array_equal(found[3], np.argsort(matrix, axis=-1, kind="stable"))


def test_one_branch_of_two():
    holds, x, y = pt.scalar("holds", dtype="bool"), pt.matrix("x"), pt.matrix("y")
    whole = np.arange(12.0).reshape(3, 4)
    for yes in (True, False):
        assert_agrees(
            [holds, x, y],
            ifelse(holds, [pt.exp(x), x], [y, x[:1]]),
            [np.array(yes), whole, whole[:2, ::2]],
            [np.array(yes), whole[:0], whole.T],
        )


@pytest.mark.parametrize("shapes", [((7,), (3,)), ((3,), (7,)), ((1,), (1,)), ((4,), (4,)), ((300,), (12,))])
def test_convolutions_along_an_axis(shapes):
    one, other, full = pt.vector("one"), pt.vector("other"), pt.scalar("full", dtype="bool")
    function = inlined([one, other, full], [Convolution(1)(one, other, full)])
    rng = np.random.default_rng(2)
    a, b = (rng.normal(size=shape) for shape in shapes)
    for mode in ("full", "valid"):
        for layout in everywhere(a).values():
            (found,) = function(layout, b, np.array(mode == "full"))
            assert_allclose(found, np.convolve(a, b, mode=mode), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("batch", [(1, 1), (3, 1), (1, 3), (3, 3)])
def test_convolutions_along_two_axes_of_stacks(batch):
    lengths = [None if n > 1 else 1 for n in batch]
    one, other = (pt.tensor(dtype="float64", shape=(length, None, None)) for length in lengths)
    full = pt.scalar("full", dtype="bool")
    function = inlined([one, other, full], [Convolution(2)(one, other, full)])
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(batch[0], 6, 4)), rng.normal(size=(batch[1], 2, 3))
    for mode in ("full", "valid"):
        for x, y in ((a, b), (b, a)) if batch[0] == batch[1] else ((a, b),):
            (found,) = function(x, y, np.array(mode == "full"))
            pairs = zip(*(np.broadcast_to(each, (max(batch), *each.shape[1:])) for each in (x, y)), strict=True)
            expected = [scipy.signal.convolve(p, q, mode=mode, method="direct") for p, q in pairs]
            assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("mode", ["full", "valid"])
def test_convolutions_of_nothing_and_of_misfits_are_refused(mode):
    one, other, full = pt.matrix("one"), pt.matrix("other"), pt.scalar("full", dtype="bool")
    function = inlined([one, other, full], [Convolution(2)(one, other, full)])
    with pytest.raises(ValueError, match="no elements"):
        function(np.zeros((0, 3)), np.zeros((2, 2)), np.array(mode == "full"))
    if mode == "valid":
        with pytest.raises(ValueError, match="neither operand is the longer one"):
            function(np.zeros((2, 5)), np.zeros((4, 2)), np.array(False))


def test_an_adstock():
    """Media that go on to work for weeks: a convolution with powers of a parameter."""
    rng = np.random.default_rng(4)
    spent = rng.gamma(2.0, size=60)
    with pm.Model() as model:
        kept = pm.Beta("kept", 2, 2)
        effect = pm.HalfNormal("effect")
        weights = kept ** np.arange(8)
        media = pt.signal.convolve1d(pm.Data("spent", spent), weights / weights.sum(), mode="full")[:60]
        pm.Normal("sold", effect * media, 0.5, observed=rng.normal(size=60))
    compiled = native(model)
    assert not compiled.code.by_numba
    assert_slopes(compiled, np.array([0.4, -0.3]))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 12])
def test_the_exponential_of_a_matrix(n):
    declare_slots()
    x = pt.tensor3("x")
    function = inlined([x], [LeanExponential()(x)])
    rng = np.random.default_rng(5)
    for size in (0.0, 1e-12, 0.1, 1.0, 5.0, 40.0):
        matrices = size * rng.normal(size=(3, n, n)) / n
        (found,) = function(matrices)
        assert_allclose(found, scipy.linalg.expm(matrices), rtol=1e-11, atol=1e-13 * np.abs(found).max())
    # Rates of moves between states, whose rows become probabilities.
    rates = rng.gamma(1.0, size=(1, n, n)) * 1e4
    rates -= np.eye(n) * rates.sum(axis=-1)
    assert_allclose(function(rates)[0].sum(axis=-1), 1.0, rtol=1e-9)


def test_the_exponential_of_what_is_not_finite_and_of_nothing():
    declare_slots()
    x = pt.matrix("x")
    function = inlined([x], [LeanExponential()(x)])
    for wrong in (np.nan, np.inf, -np.inf):
        for place in ((0, 0), (1, 2), (2, 2)):
            matrix = np.eye(3)
            matrix[place] = wrong
            assert np.isnan(function(matrix)[0]).all()
    assert function(np.zeros((0, 0)))[0].shape == (0, 0)
    with pytest.raises(ValueError, match="square"):
        function(np.zeros((2, 3)))


@pytest.mark.parametrize("rate", ["apart", "equal"])
def test_a_compartment_model_in_closed_form(rate):
    """Two compartments; with equal rates the matrix has one eigenvector, by which PyTensor 2 takes the gradient."""
    flow = pt.vector("flow", shape=(2,))
    out, back = flow[0], flow[1]
    rates = pt.stacklists([[-out, 0.0], [out, -back]])
    density = (pt.linalg.expm(0.7 * rates) * np.array([[1.0, 2.0], [3.0, 4.0]])).sum() - (flow**2).sum()
    compiled = native(density)
    position = np.array([0.8, 0.8] if rate == "equal" else [0.8, 0.3])
    assert_slopes(compiled, position)


def test_blocks_of_a_matrix():
    x = pt.vector("x", shape=(4,))
    first, second = x[:2].reshape((1, 2)) * x[0], x[1:].reshape((3, 1))
    weights = np.random.default_rng(6).normal(size=(4, 3))
    density = -(x**2).sum() + (pt.linalg.block_diag(first, second) * weights).sum()
    compiled = native(density)
    q = np.array([0.3, -0.2, 0.9, 0.4])
    expected = scipy.linalg.block_diag(q[:2].reshape(1, 2) * q[0], q[1:].reshape(3, 1))
    value, gradient = compiled.logp_dlogp(q)
    assert value == pytest.approx(-(q**2).sum() + (expected * weights).sum(), rel=1e-13)
    by_hand = -2 * q + np.array([2 * q[0] * weights[0, 0] + q[1] * weights[0, 1], q[0] * weights[0, 1], 0.0, 0.0])
    by_hand[1:] += weights[1:, 2]
    assert_allclose(gradient, by_hand, rtol=1e-13)


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("ext", [0, 1, 3])
def test_splines(degree, ext):
    knots = np.array([-1.0, 0.0, 0.4, 1.3, 2.0, 3.1])
    spline = InterpolatedUnivariateSpline(knots, np.cos(knots) + 2, k=degree, ext=ext)
    x = pt.vector("x", shape=(9,))
    compiled = native(-(x**2).sum() + pt.log(1.0 + SplineWrapper(spline)(x)).sum())
    q = np.array([-1.7, -1.0, -0.3, 0.2, 0.7, 1.9, 3.0, 3.1, 4.5])
    value, gradient = compiled.logp_dlogp(q)
    assert value == pytest.approx(-(q**2).sum() + np.log(1 + spline(q)).sum(), rel=1e-12)
    inside = ~np.isin(q, knots)  # where left and right slopes are the same
    slopes = -2 * q + spline.derivative()(q) / (1 + spline(q))
    assert_allclose(gradient[inside], slopes[inside], rtol=1e-11)


def test_a_spline_that_smooths():
    rng = np.random.default_rng(7)
    at = np.linspace(0.0, 5.0, 40)
    spline = UnivariateSpline(at, np.sin(at) + 0.1 * rng.normal(size=40), s=0.5)
    x = pt.vector("x", shape=(3,))
    q = np.array([0.1, 2.2, 4.9])
    assert native(SplineWrapper(spline)(x).sum()).logp_dlogp(q)[0] == pytest.approx(spline(q).sum(), rel=1e-12)


def test_a_prior_from_draws():
    """PyMC's way to go on from a posterior."""
    at = np.linspace(-2.0, 5.0, 50)
    with pm.Model() as model:
        effect = pm.Interpolated("effect", at, np.exp(-0.5 * (at - 1) ** 2))
        pm.Normal("y", effect, 1.0, observed=[0.3, 0.9])
    compiled = native(model)
    at = {model.value_vars[0].name: np.array(0.2)}
    value, slope = model.compile_logp(mode=INTERPRETED)(at), model.compile_dlogp(mode=INTERPRETED)
    found = compiled.logp_dlogp(np.array([0.2]))
    assert found[0] == pytest.approx(float(value), rel=1e-11)
    assert_allclose(found[1], slope(at), rtol=1e-9)


def test_whether_a_matrix_is_positive_definite():
    x = pt.matrix("x", shape=(2, 2))
    compiled = native(pt.switch(matrix_pos_def(x), -(x**2).sum(), -np.inf))
    for matrix in ([[1.0, 0.3], [0.3, 1.0]], [[1.0, 2.0], [2.0, 1.0]], [[-1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]] * 2):
        is_so = np.linalg.eigvalsh(matrix)[0] > 1e-9
        expected = -np.square(matrix).sum() if is_so else -np.inf
        assert compiled.logp_dlogp(np.ravel(matrix))[0] == pytest.approx(expected)


@pytest.mark.slow
def test_a_correlation_matrix():
    with pm.Model() as model:
        pm.LKJCorr("correlation", n=3, eta=2.0)
    compiled = native(model)
    logp = model.compile_logp(mode=INTERPRETED)
    (name,) = [v.name for v in model.value_vars]
    shape = compiled.binding.shapes[0]
    rng = np.random.default_rng(8)
    for q in [0.2 * rng.normal(size=3), *rng.normal(size=(4, 3))]:  # of which PyMC 5 finds some far from any
        assert compiled.logp_dlogp(q)[0] == pytest.approx(float(logp({name: q.reshape(shape)})), rel=1e-11)
    assert_slopes(compiled, 0.2 * rng.normal(size=3))


def test_signs_and_whole_numbers():
    x, y = pt.vector("x"), pt.vector("y")
    outputs = [pt.sign(x), x % y, x // y, pt.round(x), pt.trunc(x), pt.exp2(x / 300), pt.arcsinh(x), pt.arctanh(x / 9)]
    outputs += [pt.arccosh(1 + abs(x)), pt.round_half_away_from_zero(x)]
    numbers = np.array([0.0, -0.0, 0.5, -0.5, 1.5, -1.5, 2.5, 7.0, -7.0, np.nan, 0.3, -0.3])
    a, b = (each.ravel() for each in np.meshgrid(numbers, np.array([0.3, -0.3, 2.0, -2.0, 7.0, 0.1])))
    assert_agrees([x, y], outputs, [a, b], rtol=1e-13)


def test_an_axis_that_is_split():
    x = pt.vector("x", shape=(4,))
    density = -(x**2).sum() + (pt.split_dims(x, (2, 2), axis=0) * np.arange(4.0).reshape(2, 2)).sum()
    assert_allclose(native(density).logp_dlogp(np.ones(4))[1], np.arange(4.0) - 2.0)
