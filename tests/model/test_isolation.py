"""Compiling in a process of its own: the same code, nothing kept, and every way in which the child may fail."""

import os
import re
import signal
import tempfile

import numba
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import zoo
from model.deadly import Deadly
from model.test_code import facts, with_python
from processes import output_of, start
from pytensor.compile.builders import OpFromGraph

from nutmill import ModelError, compile_model
from nutmill.native import cache_space


@pytest.mark.usefixtures("compiled_anew")
def test_the_code_is_that_of_a_compile_here():
    here, apart = compile_model(zoo.regression()), compile_model(zoo.regression(), isolate=True)
    assert facts(apart) == facts(here)
    # Which of two equal lengths is compared with which depends on sets of PyTensor, whose order is the process's.
    told, expected = ({**code.facts(), "lengths": None} for code in (apart.code, here.code))
    assert told == expected
    assert set(apart.code.stages) == set(here.code.stages)
    assert apart.code.peak_bytes > 100e6 and "in the one that compiled" in apart.report()
    assert here.code.peak_bytes == 0 and re.search(r"MB at most in this process$", here.report())


@pytest.mark.usefixtures("compiled_anew")
def test_an_njit_density():
    @numba.njit
    def density(q, gradient, data):
        gradient[:] = -q * data
        return -0.5 * (data * q * q).sum()

    scales = np.array([1.0, 2.0])
    compiled = compile_model(density, n_dim=2, data=scales, isolate=True)
    np.testing.assert_allclose(compiled.logp_dlogp(np.ones(2))[1], -scales)


@pytest.mark.usefixtures("compiled_anew")
def test_what_was_asked_and_options_of_pytensor_reach_the_child():
    """With an option that PyTensor does not know, the child would say so."""
    x, asked = pt.vector("x", shape=(3,)), {"dtype": "float32", "lowering": "numba"}
    with pytensor.config.change_flags(optdb__max_use_ratio=5.0):
        here, apart = (
            compile_model(-0.5 * ((x / 0.3) ** 2).sum(), isolate=isolate, **asked) for isolate in (False, True)
        )
    q = np.array([0.1, 0.7, 1.3])
    value, expected = apart.logp_dlogp(q)[0], -0.5 * ((q / 0.3) ** 2).sum()
    assert value != expected and value == pytest.approx(expected, rel=1e-6)
    assert apart.code.lowering == "numba" and facts(apart) == facts(here)


def test_the_cache_is_shared_with_compiles_here(model_cache):
    assert not compile_model(zoo.regression(), isolate=True).code.from_cache
    assert compile_model(zoo.regression()).code.from_cache
    assert compile_model(zoo.regression(), isolate=True).code.from_cache
    assert {stored.header.kind for stored in cache_space.listing()} >= {"model"}


def test_nothing_of_numba_is_kept(model_cache):
    code = """
import numba.core.compiler, zoo
from nutmill import compile_model
def refuse(*arguments, **options):
    raise AssertionError("something is compiled here")
numba.core.compiler.CompilerBase.__init__ = refuse
compiled = compile_model(zoo.regression(), isolate=True)
print(compiled.logp_dlogp(compiled.starts(None, 1, 0, jitter=False)[0])[0])
"""
    assert np.isfinite(float(output_of(start(code)).split()[-1]))


def deadly(number: int) -> pm.Model:
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        pm.Potential("end", Deadly(number)(x))
    return model


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (signal.SIGKILL, "was killed, probably because the machine has too little memory"),
        pytest.param(signal.SIGSEGV, "ended without its code", marks=pytest.mark.slow),
        (0, r"ended without its code \(exit code 7\)"),
    ],
)
def test_a_child_that_dies(monkeypatch, number, sentence):
    monkeypatch.setenv("NUTMILL_TEST_PARENT", str(os.getpid()))
    with pytest.raises(ModelError, match=sentence):
        compile_model(deadly(int(number)), isolate=True)


def test_the_childs_error_is_raised_here():
    x = pt.vector("x", shape=(3,))
    with pytest.raises(ModelError, match="The log density must be a scalar"):
        compile_model(x * 2.0, isolate=True)


def test_what_cannot_be_sent(monkeypatch):
    class Unsendable(OpFromGraph):
        def __reduce__(self):
            raise TypeError("it holds a socket")

    x = pt.scalar("x")
    op = Unsendable([x], [-(x**2)])
    with pytest.raises(ModelError, match=r"cannot be sent to another process \(it holds a socket\)"):
        compile_model(op(pt.scalar("z")), isolate=True)


@pytest.mark.usefixtures("compiled_anew")
def test_a_folder_of_temporary_files_that_cannot_be_used(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(ModelError, match=r"the folder of temporary files \(No such file or directory\): let TMPDIR"):
        compile_model(zoo.regression(), isolate=True)


def test_what_needs_python_cannot_come_back():
    with pytest.raises(ModelError, match=r"InPython runs in Python\. Compile it without isolate=True"):
        compile_model(with_python(), isolate=True)
    with pytest.raises(ModelError, match="lives in this process"):
        compile_model(zoo.regression(), isolate=True, fuse=False)
