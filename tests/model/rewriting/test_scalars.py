"""Branch-free scalar functions: values over the whole range, loops that vectorise, and what is left alone."""

import math
import re

import llvmlite.binding as llvm
import mpmath as mp
import numba
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.special
from pytensor.compile.mode import get_mode

from nutmill import compile_model
from nutmill.model.lowering import vector_calls as vectormath
from nutmill.model.rewriting import branchfree, error_function, gamma
from nutmill.model.rewriting.branchfree_rewrites import BranchFree, branch_free_rewriter
from nutmill.native.libmvec import available
from nutmill.native.processor import target

MODE = get_mode("NUMBA").register((branch_free_rewriter(), 47.0))
FUNCTIONS = {
    "sigmoid": (branchfree.sigmoid, pt.sigmoid),
    "softplus": (branchfree.softplus, pt.softplus),
    "log1mexp": (branchfree.log1mexp, pt.log1mexp),
    "erfcx": (error_function.erfcx, pt.erfcx),
    "log_gamma": (gamma.log_gamma, pt.gammaln),
    "digamma": (gamma.digamma, pt.psi),
    "trigamma": (gamma.trigamma, pt.tri_gamma),
}
TINY, HUGE = np.finfo(float).smallest_subnormal, np.finfo(float).max
EXTREMES = np.array(
    [
        0.0,
        np.inf,
        -np.inf,
        np.nan,
        TINY,
        -TINY,
        1e-300,
        -1e-300,
        HUGE,
        -HUGE,
        800.0,
        -800.0,
        37.0,
        -37.0,
        1e-9,
        -1e-9,
    ]
)


def apply(name, x):
    """Values of one of our functions, compiled as a loop."""
    function = FUNCTIONS[name][0]
    with np.errstate(all="ignore"):
        return numba.vectorize(["float64(float64)"])(lambda value: function(value))(x)


def through_pytensor(name, x, mode):
    """Values of PyTensor's function in a mode."""
    symbolic = pt.vector("x")
    function = pytensor.function([symbolic], FUNCTIONS[name][1](symbolic), mode=mode)
    return function, function(x)


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "log1mexp"])
def test_values_are_those_of_pytensor(name):
    rng = np.random.default_rng(21)
    x = np.concatenate([rng.uniform(-800, 800, 3000), rng.uniform(-40, 40, 3000), rng.normal(size=3000), EXTREMES])
    _, expected = through_pytensor(name, x, "NUMBA")
    found = apply(name, x)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[~finite], expected[~finite])
    if name == "sigmoid":
        expected = np.where(x < -700.0, np.exp(np.minimum(x, 0.0)), expected)  # where PyTensor's overflows
    np.testing.assert_array_max_ulp(found[finite], expected[finite], maxulp=4)


def test_erfcx_is_right_to_its_last_digits():
    """SciPy's own error is 5e-14 at -20."""
    rng = np.random.default_rng(25)
    x = np.concatenate([rng.uniform(-26, 6, 300), rng.normal(size=200), -(10.0 ** rng.uniform(-18, 0, 50)), [1e4, 1e8]])
    with mp.workdps(40):
        right = [float(mp.exp(mp.mpf(v) ** 2) * mp.erfc(mp.mpf(v))) for v in x[:-2].tolist()]
    right += [1.0 / (v * math.sqrt(math.pi)) * (1.0 - 0.5 / v**2) for v in x[-2:].tolist()]
    np.testing.assert_allclose(apply("erfcx", x), right, rtol=1.5e-15)
    at = np.array([0.0, np.inf, -np.inf, np.nan, TINY, -TINY, 1e300, HUGE, -HUGE, -27.0])
    expected = [1.0, 0.0, np.inf, np.nan, 1.0, 1.0, 5.641895835477563e-301, 0.0, np.inf, np.inf]
    np.testing.assert_allclose(apply("erfcx", at), expected, rtol=1e-15)


# Argument, log-gamma, digamma: from 40 digits with mpmath.
GAMMA = np.array(
    [
        (1e-300, 690.7755278982137, -9.999999999999999e299),
        (0.1, 2.252712651734206, -10.423754940411076),
        (0.999999, 5.772164873855652e-07, -0.5772173098368019),
        (1.000001, -5.772148423874147e-07, -0.5772140199686682),
        (1.4616321449683622, -0.12148629053584961, -9.241265521729427e-17),
        (1.999999, -4.227840125965854e-07, 0.4227836901641983),
        (2.000001, 4.2278465762452923e-07, 0.422784980032332),
        (2.5, 0.2846828704729192, 0.7031566406452432),
        (7.9999, 8.524959797583307, 2.015628164165642),
        (8.0, 8.525161361065415, 2.01564147795561),
        (100.5, 361.4355404677776, 4.605174352581845),
        (1e10, 220258509288.81058, 23.025850929890456),
        (1e200, 4.595170185988091e202, 460.51701859880916),
        (-0.5, 1.2655121234846454, 0.03648997397857652),
        (-2.25, 0.5555015450206475, 4.158583564657972),
        (-7.75, -8.581847763551867, -1.0307688328309315),
        (-30.3, -74.32837301253049, 5.7100592729113115),
    ]
).T


def test_log_gamma_and_digamma_at_known_points():
    x, log_gamma, digamma = GAMMA
    np.testing.assert_allclose(apply("log_gamma", x), log_gamma, rtol=1e-14)
    # Digamma has a zero at 1.46, near which only the absolute error is small.
    np.testing.assert_allclose(apply("digamma", x), digamma, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("low, high", [(1e-8, 3), (3, 9), (9, 1e4), (-20, -0.001)])
def test_log_gamma_and_digamma_agree_with_scipy(low, high):
    x = np.random.default_rng(22).uniform(low, high, size=4000)
    # SciPy's own error is up to 2e-13 where these functions are near zero or a pole at negative arguments.
    tolerance = 1e-12 if low < 0 else 5e-15
    np.testing.assert_allclose(apply("log_gamma", x), scipy.special.gammaln(x), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(apply("digamma", x), scipy.special.psi(x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("low, high", [(1e-8, 3), (3, 9), (9, 1e4), (-20, -0.001)])
def test_trigamma_agrees_with_scipy(low, high):
    x = np.random.default_rng(23).uniform(low, high, size=4000)
    tolerance = 1e-11 if low < 0 else 5e-15
    np.testing.assert_allclose(apply("trigamma", x), scipy.special.polygamma(1, x), rtol=tolerance)


def test_trigamma_at_known_points_and_extremes():
    x = np.array([1.0, 2.0, 0.5, -0.5, -1.5, 1e200, np.inf, 0.0, -1.0, -3.0, np.nan, TINY, 1e-100])
    unit = math.pi**2 / 6
    expected = [unit, unit - 1, 3 * unit, 3 * unit + 4, 3 * unit + 4 + 4 / 9, 1e-200, 0.0]
    expected += [np.inf, np.inf, np.inf, np.nan, np.inf, 1e200]
    np.testing.assert_allclose(apply("trigamma", x), expected, rtol=1e-14)


def test_the_gradient_of_digamma_needs_no_python():
    x = pt.vector("x")
    logp = -(pt.digamma(pt.exp(x)) ** 2).sum() - (x**2).sum()
    compiled = compile_model(logp, start={"x": np.zeros(3)})
    assert compiled.code.fused and not compiled.code.python_ops
    at = np.array([-1.0, 0.3, 2.0])
    slope = -2 * scipy.special.psi(np.exp(at)) * scipy.special.polygamma(1, np.exp(at)) * np.exp(at) - 2 * at
    np.testing.assert_allclose(compiled.logp_dlogp(at)[1], slope, rtol=1e-12)


def polygamma(order, x):
    """Values of our polygamma, compiled as a loop."""
    with np.errstate(all="ignore"):
        return numba.vectorize(["float64(int64, float64)"])(lambda n, value: gamma.polygamma(n, value))(order, x)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 6, 15])
@pytest.mark.parametrize("low, high", [(1e-8, 3), (3, 12), (9, 1e4), (-20, -0.001)])
def test_polygamma_agrees_with_scipy(order, low, high):
    x = np.random.default_rng(24).uniform(low, high, size=2000)
    # SciPy's digamma has an error of its own near its zeros; even orders have zeros at negative arguments.
    relative, absolute = (1e-11, 1e-11) if low < 0 or order == 0 else (5e-15, 0.0)
    expected = scipy.special.polygamma(order, x)
    np.testing.assert_allclose(polygamma(order, x), expected, rtol=relative, atol=absolute)


def test_polygamma_at_known_points_and_extremes():
    apery = 1.2020569031595942  # zeta(3)
    x = np.array([1.0, 2.0, 0.5, -0.5, 1e200, np.inf, 0.0, -3.0, np.nan, 1e-100])
    expected = [-2 * apery, 2 - 2 * apery, -14 * apery, 16 - 14 * apery, 0.0, 0.0, -np.inf, -np.inf, np.nan, -2e300]
    np.testing.assert_allclose(polygamma(2, x), expected, rtol=1e-13)
    expected = [math.pi**4 / 15, math.pi**4 / 15 - 6, math.pi**4, math.pi**4 + 96, 0.0, 0.0, np.inf, np.inf, np.nan]
    np.testing.assert_allclose(polygamma(3, x[:-1]), expected, rtol=1e-14)
    np.testing.assert_array_equal(polygamma(1, [1e200, np.inf]), [1e-200, 0.0])
    assert np.isnan(polygamma(-1, 2.0))


def test_the_gradient_of_trigamma_needs_no_python():
    x = pt.vector("x")
    logp = -(pt.tri_gamma(pt.exp(x)) ** 2).sum() - (x**2).sum() + pt.polygamma(np.array([0, 2, 3]), pt.exp(x)).sum()
    compiled = compile_model(logp, start={"x": np.zeros(3)})
    assert compiled.code.fused and not compiled.code.python_ops
    at = np.array([-1.0, 0.3, 2.0])
    y = np.exp(at)
    slope = -2 * scipy.special.polygamma(1, y) * scipy.special.polygamma(2, y) * y - 2 * at
    slope += scipy.special.polygamma([1, 3, 4], y) * y
    np.testing.assert_allclose(compiled.logp_dlogp(at)[1], slope, rtol=1e-12)


def test_extremes_of_log_gamma_and_digamma():
    at = np.array([0.0, np.inf, np.nan, -1.0, -2.0, 1.0, 2.0, TINY, -TINY])
    inf, nan = np.inf, np.nan
    expected = [inf, inf, nan, inf, inf, 0.0, 0.0, math.lgamma(TINY), math.lgamma(TINY)]
    np.testing.assert_allclose(apply("log_gamma", at), expected, rtol=1e-14)
    assert apply("log_gamma", np.array([-np.inf]))[0] == inf
    expected = [-inf, inf, nan, nan, nan, -np.euler_gamma, 1 - np.euler_gamma, -inf, inf]
    np.testing.assert_allclose(apply("digamma", at), expected, rtol=1e-14)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_loop_is_vectorised(name):
    function = FUNCTIONS[name][0]

    @numba.cfunc(numba.void(numba.types.CPointer(numba.float64), numba.types.CPointer(numba.float64), numba.int64))
    def loop(x, out, n):
        values, results = numba.carray(x, (n,)), numba.carray(out, (n,))
        for i in range(n):
            results[i] = function(values[i])

    text = str(llvm.parse_bitcode(loop._library._get_module_for_linking().as_bitcode()))
    module = llvm.parse_assembly(vectormath.annotate(text))
    module.get_function(loop.native_name).linkage = "external"
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(target().machine(), options)
    builder.getModulePassManager().run(module, builder)
    if name == "trigamma":  # calls nothing
        assert re.search(r"fdiv [^\n]*<\d+ x double>", str(module))
    else:
        assert bool(re.search(r"call [^\n]*@_ZGV", str(module))) == bool(available())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rewriter_replaces_and_fuses(name):
    x = np.array([-3.5, -0.25])
    symbolic = pt.vector("x")
    twice = 2.0 * FUNCTIONS[name][1](symbolic - 0.125)
    function = pytensor.function([symbolic], twice, mode=MODE)
    (node,) = function.maker.fgraph.apply_nodes
    inner = [n.op for n in node.op.scalar_op.fgraph.apply_nodes]
    assert any(isinstance(op, BranchFree) for op in inner)
    expected = pytensor.function([symbolic], twice, mode="FAST_COMPILE")(x)
    np.testing.assert_allclose(function(x), expected, rtol=1e-13)


def test_integers_are_cast():
    counts = pt.lvector("counts")
    function = pytensor.function([counts], pt.gammaln(counts), mode=MODE)
    np.testing.assert_allclose(function(np.array([1, 5, 20])), [0.0, math.log(24.0), math.lgamma(20.0)])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_single_precision_stays_single(name):
    symbolic = pt.vector("x", dtype="float32")
    function = pytensor.function([symbolic], FUNCTIONS[name][1](symbolic), mode=MODE)
    assert any(isinstance(node.op.scalar_op, BranchFree) for node in function.maker.fgraph.apply_nodes)
    x = np.random.default_rng(22).uniform(0.1, 30.0, 500).astype(np.float32) * (-1 if name == "log1mexp" else 1)
    found = function(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, apply(name, x.astype(np.float64)), rtol=1e-6, atol=1e-7)


def test_other_functions_of_the_process_stay_as_they_were():
    function, _ = through_pytensor("softplus", np.zeros(2), "NUMBA")
    assert not any(isinstance(n.op.scalar_op, BranchFree) for n in function.maker.fgraph.apply_nodes)
