"""Eigenvalues, QR factors and Gram matrices in place: NumPy's numbers for every layout, and gradients."""

import functools

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from model.inlining import INTERPRETED
from model.linear_algebra import LAYOUTS, MODE, ROUNDING, lean_function, positive_definite
from pytensor.gradient import grad
from pytensor.graph.fg import FunctionGraph
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.slinalg import qr

from nutmill import compile_model
from nutmill.model.anatomy import operations
from nutmill.model.compat import Eigh, Eigvalsh
from nutmill.model.graphs.pymc_model import from_pymc
from nutmill.model.rewriting.blas.lean import lean_rewriter
from nutmill.model.rewriting.blas.ops import LeanEigh, LeanGram, LeanQR

RNG_SEED = 20261125


def symmetric(n: int, *shape: int) -> np.ndarray:
    half = np.random.default_rng(RNG_SEED).normal(size=(*shape, n, n))
    return half + np.swapaxes(half, -1, -2)


def count(function, kind) -> int:
    return sum(isinstance(node.op, kind) for node in function.maker.fgraph.apply_nodes)


@pytest.fixture(scope="module")
def eigh():
    a = pt.matrix("a")
    return lean_function([a], pt.linalg.eigh(a))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_eigenvalues_and_vectors(eigh, n, layout):
    a = symmetric(n)
    values, vectors = eigh(LAYOUTS[layout](np.tril(a)))  # the other triangle is not read
    np.testing.assert_allclose(values, np.linalg.eigvalsh(a), rtol=ROUNDING, atol=ROUNDING * n)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(n), atol=ROUNDING)
    np.testing.assert_allclose(a @ vectors, vectors * values, atol=ROUNDING * 10 * n)


def test_the_upper_triangle():
    upper = {"lower": False} if "lower" in Eigh.__props__ else {"UPLO": "U"}
    a = pt.matrix("a")
    function = lean_function([a], Eigh(**upper)(a))
    matrix = symmetric(5)
    np.testing.assert_allclose(function(np.triu(matrix))[0], np.linalg.eigvalsh(matrix), rtol=1e-11)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("of", ["constant", "eye"])
def test_eigenvalues_alone(of, lower):
    a = pt.matrix("a")
    unit = pt.as_tensor(np.eye(4)) if of == "constant" else pt.eye(a.shape[0])
    function = lean_function([a], Eigvalsh(lower=lower)(a, unit))
    matrix = symmetric(4)
    read = np.tril(matrix) if lower else np.triu(matrix)  # the other triangle is not read
    np.testing.assert_allclose(function(read), np.linalg.eigvalsh(matrix), rtol=1e-11)


def test_eigenvalues_of_two_matrices_stay_with_pytensor():
    a, b = pt.matrices("a", "b")
    for other in (b, pt.as_tensor(np.diag([1.0, 2.0])), pt.eye(2, k=1), pt.eye(a.shape[0], k=pt.lscalar())):
        fgraph = FunctionGraph(outputs=[Eigvalsh()(a, other)], clone=True)
        lean_rewriter().rewrite(fgraph)
        assert not any(isinstance(node.op, LeanEigh) for node in fgraph.apply_nodes)


def test_places_find_their_eigenvalues_once():
    near = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    with pm.Model() as model:
        alpha = pm.Uniform("alpha", 0.0, 1.0)
        pm.CAR("v", mu=np.zeros(3), W=near, alpha=alpha, tau=2.0)
    counted = operations(from_pymc(model))
    assert {"Eigvalsh", "Blockwise"} & set(counted.before)
    assert not {"Eigvalsh", "Blockwise", "LeanEigh"} & set(counted.after)


def test_eigenvalues_of_nothing_and_of_what_is_not_finite(eigh):
    values, vectors = eigh(np.zeros((0, 0)))
    assert values.shape == (0,) and vectors.shape == (0, 0)
    for number in (np.nan, np.inf):
        bad = symmetric(4)
        bad[2, 1] = number
        assert np.isnan(eigh(bad)[0]).any()
    with pytest.raises(ValueError, match="not square"):
        eigh(np.zeros((2, 3)))


def test_stacks_of_symmetric_matrices():
    a = pt.tensor3("a")
    function = lean_function([a], Blockwise(Eigh(), signature="(m,m)->(m),(m,m)")(a))
    matrices = symmetric(4, 3)
    values, vectors = function(matrices)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrices), rtol=1e-11)
    np.testing.assert_allclose(matrices @ vectors, vectors * values[:, None, :], atol=1e-12)


@pytest.fixture(scope="module")
def reduced_factors():
    a = pt.matrix("a")
    return lean_function([a], qr(a, mode="economic"))


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 1), (1, 3), (3, 1), (100, 70)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_reduced_factors(reduced_factors, shape, layout):
    matrix = np.random.default_rng(RNG_SEED).normal(size=shape)
    q, r = reduced_factors(LAYOUTS[layout](matrix))
    expected_q, expected_r = np.linalg.qr(matrix)
    np.testing.assert_allclose(q, expected_q, atol=ROUNDING)
    np.testing.assert_allclose(r, expected_r, atol=ROUNDING * 10)


def test_r_alone_and_stacks_and_nothing():
    a = pt.tensor("a", shape=(3, 5), dtype="float64")
    function = lean_function([a], qr(a, mode="r"))
    matrix = np.random.default_rng(RNG_SEED).normal(size=(3, 5))
    np.testing.assert_allclose(function(matrix), np.linalg.qr(matrix, mode="r"), atol=ROUNDING)
    a = pt.tensor3("a")
    function = lean_function([a], qr(a, mode="economic"))
    matrices = np.random.default_rng(RNG_SEED).normal(size=(2, 4, 3))
    q, r = function(matrices)
    np.testing.assert_allclose(q @ r, matrices, atol=1e-12)
    q, r = function(np.zeros((2, 0, 3)))
    assert q.shape == (2, 0, 0) and r.shape == (2, 0, 3)


@functools.cache
def own_product(way):
    """Compile it, once for all shapes and layouts."""
    x = pt.matrix("x")
    function = lean_function([x], x @ x.T if way == "x @ x.T" else x.T @ x)
    assert count(function, LeanGram) == 1
    return function


@pytest.mark.parametrize("way", ["x @ x.T", "x.T @ x"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (5, 3), (60, 20), (0, 3), (3, 0)])
def test_products_with_the_own_transpose(way, layout, shape):
    matrix = np.random.default_rng(RNG_SEED).normal(size=shape)
    expected = matrix @ matrix.T if way == "x @ x.T" else matrix.T @ matrix
    found = own_product(way)(LAYOUTS[layout](matrix))
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    assert np.array_equal(found, found.T)


def test_stacks_of_products_with_the_own_transpose():
    x = pt.tensor3("x")
    function = lean_function([x], [x @ x.mT, x.mT @ x])
    assert count(function, LeanGram) == 2
    matrices = np.random.default_rng(RNG_SEED).normal(size=(2, 4, 3))
    for found, one in zip(function(matrices), (matrices, matrices.swapaxes(1, 2)), strict=True):
        np.testing.assert_allclose(found, one @ one.swapaxes(1, 2), atol=1e-12)


def test_other_products_are_no_gram_matrices():
    x, y, z = pt.matrix("x"), pt.matrix("y"), pt.tensor3("z")
    function = lean_function([x, y, z], [x @ y.T, x @ x, z @ z.transpose(1, 2, 0), z @ z])
    assert count(function, LeanGram) == 0


def of_eigenvalues(a):
    values, vectors = pt.linalg.eigh(a)
    return (pt.sin(values) * pt.arange(a.shape[0])).sum() + ((vectors**2)[0] * values).sum()


def of_factors(a):
    q, r = qr(a, mode="economic")
    return (q**2)[0].sum() + pt.log(pt.abs(pt.diagonal(r))).sum() + (q @ r)[0, 1]


def of_gram(a):
    return pt.log((a @ a.T + pt.eye(a.shape[0])) ** 2).sum()


@pytest.mark.parametrize(
    ("function", "kind", "matrix"),
    [
        (of_eigenvalues, LeanEigh, symmetric(4)),
        (of_factors, LeanQR, np.random.default_rng(1).normal(size=(5, 3))),
        (of_gram, LeanGram, np.random.default_rng(1).normal(size=(3, 4))),
    ],
)
def test_gradients_are_those_of_the_interpreter(function, kind, matrix):
    a = pt.matrix("a", shape=matrix.shape)
    outputs = [function(a), grad(function(a), a)]
    lean = pytensor.function([a], outputs, mode=MODE)
    assert count(lean, kind) >= 1
    expected = pytensor.function([a], outputs, mode=INTERPRETED)(matrix)
    for found, wanted in zip(lean(matrix), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-10)


def test_a_model_with_all_of_them_is_fused():
    base = positive_definite(np.random.default_rng(3), 4)
    x = pt.matrix("x", shape=(4, 4))
    a = x @ x.T + base
    values, vectors = pt.linalg.eigh(a)
    logp = -0.5 * (x**2).sum() - pt.log(values).sum() + (vectors[0] ** 2 * values).sum()
    data = pytensor.shared(base)
    logp -= pt.log1p(Eigvalsh()(data, pt.eye(data.shape[0])) * x[0] ** 2).sum()
    compiled = compile_model(logp)
    assert compiled.code.fused and {"dsyevd", "dsyrk"} <= set(compiled.code.native.blas_routines)
    q = np.random.default_rng(4).normal(size=16)
    value, gradient = compiled.logp_dlogp(q)
    expected = pytensor.function([x], [logp, grad(logp, x)], mode=INTERPRETED)(q.reshape(4, 4))
    np.testing.assert_allclose(value, expected[0], rtol=1e-11)
    np.testing.assert_allclose(gradient, expected[1].ravel(), rtol=1e-8, atol=1e-9)
