"""Explanations of real models: what they call, what their graphs hold, and that watching changes nothing."""

import json
from pathlib import Path

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import zoo
from typer.testing import CliRunner

import nutmill
from nutmill import compile_model
from nutmill.cli.app import app
from nutmill.errors import ArgumentError, ModelError
from nutmill.explanation.blas_calls import _FORMS, record_calls
from nutmill.explanation.speeds import best, machine_speed
from nutmill.model.anatomy import operations
from nutmill.model.graphs.densities import from_pytensor
from nutmill.model.graphs.pymc_model import from_pymc
from nutmill.native.routines import ROUTINES

MATRIX = np.random.default_rng(3).normal(size=(70, 4))


def calls_of(logp):
    compiled = compile_model(logp)
    position = np.linspace(0.1, 0.9, compiled.n_dim)
    before = compiled.logp_dlogp(position)
    calls = record_calls(compiled.binding, position)
    after = compiled.logp_dlogp(position)
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1], after[1])
    return {(call.routine, call.sizes): (call.count, call.flops) for call in calls}


def test_every_routine_has_a_form():
    assert set(_FORMS) == set(ROUTINES)


def test_matrix_times_vector():
    """One product for the density, and one with the transpose for the gradient; Fortran sees the transpose.

    The gradient of each row depends on all of them, so they are not done tile by tile, which calls no routine.
    """
    x, wide = pt.vector("x", shape=(20,)), np.tile(MATRIX, 5)
    calls = calls_of(-pt.exp(1e-3 * ((pt.constant(wide) @ x) ** 2).sum()))
    assert calls == {("dgemv", (20, 70)): (2, 2 * 2.0 * 70 * 20)}


def test_a_product_of_few_columns_is_in_the_loop_over_rows():
    x = pt.vector("x", shape=(4,))
    assert calls_of(-pt.exp(1e-3 * ((pt.constant(MATRIX) @ x) ** 2).sum())) == {}


def test_a_product_of_few_numbers_calls_nothing():
    x = pt.vector("x", shape=(4,))
    assert calls_of(-0.5 * ((pt.constant(MATRIX[:3]) @ x) ** 2).sum()) == {}


def test_factorisation_and_solves():
    x = pt.vector("x", shape=(6,))
    covariance = pt.exp(-((x[:, None] - x[None, :]) ** 2)) + 2.0 * pt.eye(6)
    factor = pt.linalg.cholesky(covariance)
    residual = pt.linalg.solve_triangular(factor, pt.constant(np.arange(6.0)), lower=True)
    logp = -0.5 * (residual**2).sum() - pt.log(pt.diag(factor)).sum() - 0.5 * (x**2).sum()
    calls, count = calls_of(logp), operations(from_pytensor(logp, {})).after["LeanCholesky"]
    assert calls["dpotrf", (6,)] == (count, 72.0 * count)
    assert calls["dpotri", (6,)] == (1, 144.0)  # the density's gradient; single systems of six are loops
    assert all(len(sizes) == len(_FORMS[routine].sizes) for routine, sizes in calls)


def test_a_question_for_room_is_no_call():
    """Eigenvalues ask how much room they want first."""
    x = pt.vector("x", shape=(5,))
    matrix = pt.outer(x, x) + pt.diag(x) + 3.0 * pt.eye(5)
    values, _ = pt.linalg.eigh(matrix)
    logp = -(values**2).sum() - (x**2).sum()
    assert calls_of(logp)["dsyevd", (5,)][0] == operations(from_pytensor(logp, {})).after["LeanEigh"]


def test_the_pointer_cannot_be_watched():
    x = pt.vector("x", shape=(2,))
    compiled = compile_model(-(x**2).sum(), fuse=False)
    with pytest.raises(ModelError, match="through a pointer"):
        record_calls(compiled.binding, np.zeros(2))
    assert nutmill.explain(compiled).calls is None


def test_a_gaussian_process():
    found = nutmill.explain(zoo.gaussian_process(), budget_s=1e6)
    assert found.n_dim == 2 and found.fused and found.python_ops == ()
    assert {"dpotrf"} <= {call.routine for call in found.calls}
    assert sum(found.operations.before.values()) > sum(found.operations.after.values()) > 0
    assert 0.0 < found.blas_share <= 1.0 and found.gradient_s > 0.0
    assert found.speed.bytes_per_s > 1e8 and found.speed.flops_per_s > 1e8
    assert "dpotrf(10)" in str(found)
    (other,) = (one for one in found.libraries if one.blas == "openblas")  # of the tests' environment
    assert other.gradient_s > 0.0 and {"dpotrf"} <= {call.routine for call in other.calls}
    assert sorted((call.routine, call.sizes, call.count) for call in other.calls) == sorted(
        (call.routine, call.sizes, call.count) for call in found.calls
    )


def test_a_hierarchy_calls_no_blas():
    found = nutmill.explain(zoo.compiled("transforms"))
    assert found.calls == [] and found.gradient_s_all_threads is None and found.operations is None
    assert "None of it is BLAS" in str(found)


@pytest.fixture(scope="module")
def hasty():
    """An explanation for which there is hardly any time, of a model that calls BLAS."""
    return nutmill.explain(zoo.gaussian_process(), budget_s=1e-9, progressbar=False)


def test_without_time_the_gradient_and_its_calls_are_measured(hasty):
    assert hasty.gradient_s > 0.0 and {"dpotrf"} <= {call.routine for call in hasty.calls}
    assert hasty.speed.bytes_per_s > 1e8 and hasty.least_s > 0.0


def test_what_there_was_no_time_for_is_said(hasty):
    left_out = ("more BLAS threads", "its operations", "other BLAS libraries", "float32")
    assert hasty.left_out == (left_out if hasty.machine.n_cores > 1 else left_out[1:])
    assert hasty.operations is None and hasty.libraries == []
    assert hasty.gradient_s_all_threads is None and hasty.gradient_s_single is None
    said = str(hasty)
    assert "There was no time for" in said and "its operations, other BLAS libraries, float32: `nutmill explain" in said
    assert "that takes a pm.Model" not in said and "is the only one that was found" not in said
    assert hasty.as_dict()["left_out"] == list(hasty.left_out)


def test_with_time_nothing_is_left_out(capsys):
    found = nutmill.explain(zoo.transforms(), budget_s=1e6)
    assert found.left_out == () and "What was not measured?" not in str(found)
    assert found.gradient_s_single is not None and found.operations is not None
    lines = capsys.readouterr().err.splitlines()
    measured = [line.partition(" (after")[0] for line in lines if line.startswith("Measuring")]
    assert measured == ["Measuring the gradient", "Measuring its operations", "Measuring float32"]


def test_a_file_has_nothing_to_leave_out_but_what_it_calls():
    found = nutmill.explain(zoo.compiled("transforms"), budget_s=1e-9, progressbar=False)
    assert found.left_out == ()


@pytest.mark.parametrize("budget_s", [0, -1.0, float("nan"), float("inf"), "20s", None, True])
def test_a_budget_that_is_none(budget_s):
    with pytest.raises(ArgumentError, match="budget_s is a positive number of seconds"):
        nutmill.explain(None, budget_s=budget_s)


@pytest.mark.parametrize("budget", ["0", "-3", "inf", "nan"])
def test_a_budget_that_is_none_for_the_command(budget, tmp_path):
    (tmp_path / "model.py").touch()
    found = CliRunner().invoke(app, ["explain", str(tmp_path / "model.py"), f"--budget={budget}"])
    assert found.exit_code == 2 and "positive number of seconds" in found.output


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text("import zoo\nprint('this is not JSON')\nmodel = zoo.gaussian_process()\n")
    document = json.loads(CliRunner().invoke(app, ["explain", "model.py:model", "--json"]).stdout)
    assert document["n_dim"] == 2 and document["calls"]
    zoo.compiled("gaussian_process").save("model.nut")
    said = CliRunner().invoke(app, ["explain", "model.nut", "--budget", "60"]).stdout
    assert "What runs when this model is sampled?" in said and "dpotrf(10)" in said


def test_the_least_time_counts(monkeypatch):
    moments = iter([0.0, 3.0, 10.0, 11.0, 20.0, 22.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(moments))
    assert best(lambda: None, repeats=3) == 1.0


def test_speeds_of_the_machine_are_sane():
    speed = machine_speed()
    assert 1e8 < speed.bytes_per_s < 1e13 and 1e8 < speed.flops_per_s < 1e13


def test_a_covariance_is_factorised_once():
    """Copies of what it is made of, parted by rewrites, once had everything of it computed twice on PyTensor 2."""
    with pm.Model() as model:
        scale = pm.HalfNormal("scale", 1.0)
        covariance = scale**2 * pm.gp.cov.ExpQuad(1, pm.InverseGamma("length_scale", 5.0, 5.0))
        process = pm.gp.Marginal(cov_func=covariance)
        x = np.linspace(0.0, 5.0, 20)
        process.marginal_likelihood("y", X=x[:, None], y=np.sin(x), sigma=pm.HalfNormal("noise", 1.0))
    counts = operations(from_pymc(model)).after
    assert counts["LeanCholesky"] == 1
    # With the observations, forwards and back; the gradient is made of the inverse of the factor.
    assert counts["LeanSolveTriangular"] == 2
    assert counts["LeanCovarianceGradient"] == 1
