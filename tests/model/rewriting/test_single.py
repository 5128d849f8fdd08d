"""Single precision: close to double on models of every kind, with sums and the sampler's own numbers in double."""

import re
import shutil
import subprocess
from dataclasses import replace

import numba
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import zoo
from assertions import assert_same_mean

import nutmill
from nutmill import compile_model, sample_numba
from nutmill.errors import ArgumentError, ModelError
from nutmill.model.build import density_outputs
from nutmill.model.graphs.pymc_model import from_pymc
from nutmill.model.rewriting.blas.ops import TileProduct, TileSums
from nutmill.model.rewriting.fusion import FusedLoop
from nutmill.model.rewriting.rewrite import rewrite
from nutmill.model.rewriting.rows.tiles import RowTiles
from nutmill.native.libmvec import available
from nutmill.native.processor import target
from nutmill.results.trace import group

QUICK, OTHERS = ("regression", "gaussian_process", "scan"), ("counts", "covariance", "transforms")
ROWS, COLUMNS = 400, 20


def logistic():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(ROWS, COLUMNS))
    with pm.Model() as model:
        intercept, beta = pm.Normal("intercept"), pm.Normal("beta", shape=COLUMNS)
        pm.Bernoulli("y", logit_p=intercept + pm.Data("x", x) @ beta, observed=rng.integers(0, 2, ROWS))
    return model


@pytest.fixture(scope="module")
def single():
    return compile_model(logistic(), dtype="float32")


@pytest.fixture(scope="module")
def double():
    return compile_model(logistic())


def assert_close(single, double, q):
    found, expected = single.logp_dlogp(q), double.logp_dlogp(q)
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[1].dtype == np.float64
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=1e-4 * np.abs(expected[1]).max())
    return found, expected


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_log_density_and_gradient_are_close_to_double(name):
    compiled = compile_model(getattr(zoo, name)(), dtype="float32")
    assert compiled.code.fused
    rng = np.random.default_rng(11)
    for _ in range(3):
        assert_close(compiled, zoo.compiled(name), 0.3 * rng.normal(size=compiled.n_dim))


def test_it_is_another_computation(single, double):
    q = np.random.default_rng(3).normal(size=single.n_dim)
    (found, _), (expected, _) = assert_close(single, double, q)
    assert found != expected


def test_arrays_are_single_and_numbers_double():
    graph = replace(from_pymc(logistic()), dtype="float32")
    outputs = density_outputs(graph)
    assert {v.type.dtype for v in outputs} == {"float64"}
    parameters = [p.variable for p in graph.parameters]
    fgraph = rewrite(parameters, [a.variable for a in graph.arrays], outputs, hoist=True).fgraph
    (tiles,) = [node for node in fgraph.apply_nodes if isinstance(node.op, RowTiles)]
    nodes = tiles.op.step.apply_nodes
    products = [node for node in nodes if isinstance(node.op, TileProduct | TileSums)]
    assert len(products) == 2 and all(v.type.dtype == "float32" for node in products for v in node.inputs)
    loops = [node for node in nodes if isinstance(node.op, FusedLoop)]
    (loop,) = [node for node in loops if "int64" in {v.type.dtype for v in node.inputs}]  # over the observations
    vectors = [v for v in (*loop.inputs, *loop.outputs) if v.type.ndim and not all(v.type.broadcastable)]
    assert {v.type.dtype for v in vectors} == {"float32", "bool", "int64"}
    assert loop.outputs[0].type.ndim == 0 and loop.outputs[0].type.dtype == "float64"


def test_its_routines_and_vector_forms_are_single(single, tmp_path):
    assert not single.code.native.blas_routines  # products of tiles are loops of our own
    if shutil.which("nm") is None or "log1pf" not in available(target()):
        pytest.skip("no binutils, or no vector math, on this machine")
    (tmp_path / "model.o").write_bytes(single.code.native.code)
    symbols = subprocess.run(["nm", tmp_path / "model.o"], capture_output=True, text=True, check=True).stdout
    vectors = set(re.findall(r"_ZGV\w+v_(\w+)", symbols))
    assert vectors == {"expf", "log1pf"}


def test_sums_lose_no_digits():
    """Added up in single precision, the last of so many squares would hardly count."""
    x = pt.vector("x", shape=(1_000_000,))
    q = np.full(1_000_000, 0.5)
    logp, gradient = compile_model(-(x**2).sum(), dtype="float32").logp_dlogp(q)
    assert logp == -250_000.0
    np.testing.assert_array_equal(gradient, -1.0)


def test_other_data_are_bound_in_single_precision(single, double):
    x = np.random.default_rng(9).normal(size=(77, COLUMNS))
    new = {"x": x, "y": np.arange(77) % 2}
    q = np.random.default_rng(4).normal(size=single.n_dim)
    assert_close(single.with_data(**new), double.with_data(**new), q)


def test_each_precision_has_its_own_entry_in_the_cache(single, double):
    again = [compile_model(logistic(), dtype=dtype) for dtype in ("float32", "float64")]
    assert [compiled.code.key for compiled in again] == [single.code.key, double.code.key]
    assert single.code.key != double.code.key


def test_a_file_keeps_it(single, tmp_path):
    single.save(tmp_path / "model.nut")
    q = np.random.default_rng(5).normal(size=single.n_dim)
    found, expected = nutmill.load(tmp_path / "model.nut").logp_dlogp(q), single.logp_dlogp(q)
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1], expected[1])


def test_the_posterior_does_not_move(single, double, seed):
    quiet = {"draws": 500, "progressbar": False, "compute_convergence_checks": False}
    first = group(sample_numba(single, random_seed=2 * seed, **quiet), "posterior")
    second = group(sample_numba(double, random_seed=2 * seed + 1, **quiet), "posterior")
    assert_same_mean(first["intercept"].values, second["intercept"].values)
    for k in range(COLUMNS):
        assert_same_mean(first["beta"].values[..., k], second["beta"].values[..., k])


def test_another_dtype_is_refused():
    with pytest.raises(ArgumentError, match='dtype must be "float64" or "float32", not \'float16\''):
        compile_model(logistic(), dtype="float16")

    @numba.njit
    def density(q, gradient, data):
        gradient[:] = -q
        return -0.5 * (q**2).sum()

    with pytest.raises(ModelError, match="computes in the precision that it is written in"):
        compile_model(density, n_dim=2, dtype="float32")
