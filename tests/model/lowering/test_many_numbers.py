"""Models that report many single numbers: none of them is an array in the code, and each keeps its value and dtype."""

import llvmlite.binding as llvm
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from model.inlining import INTERPRETED

from nutmill import compile_model
from nutmill.model import build
from nutmill.model.rewriting import fusion


@pytest.fixture
def model():
    """Numbers of three dtypes, one that others read, one that is a constant, and vectors between them."""
    with pm.Model() as model:
        x, s = pm.Normal("x", shape=3), pm.HalfNormal("s")
        last = pm.Deterministic("scale", pt.exp(s))
        for n in range(40):  # more than there are pieces of the stack
            last = pm.Deterministic(f"number_{n}", x[n % 3] * (n + 0.5) + last)
        pm.Deterministic("vector", x + last)
        pm.Deterministic("is_high", last > 1.0)
        pm.Deterministic("whole", pt.floor(last).astype("int64"))
        pm.Deterministic("fixed", pt.constant(2.5))
        pm.Deterministic("first", x[0])
    return model


@pytest.mark.parametrize("most", [1024, 1])  # operands of a fused loop: beyond them PyTensor fuses nothing
def test_numbers_have_their_values_and_dtypes(model, most, monkeypatch):
    monkeypatch.setitem(fusion.WideFusion.apply.__globals__, "elemwise_max_operands_fct", lambda node: most)
    monkeypatch.setattr(build, "find", lambda *_: None)  # nothing that was compiled with another bound
    compiled = compile_model(model)
    points = np.random.default_rng(1).normal(size=(4, compiled.n_dim))
    found = compiled.expand(points)
    names = list(found)
    outputs = model.replace_rvs_by_values([model[name] for name in names])
    right = pytensor.function(model.value_vars, outputs, mode=INTERPRETED, on_unused_input="ignore")
    for number, q in enumerate(points):
        expected = right(q[:3], q[3])
        for name, value in zip(names, expected, strict=True):
            assert found[name].dtype == value.dtype
            np.testing.assert_allclose(found[name][number], value, rtol=1e-13)


def test_no_number_is_allocated(model, monkeypatch):
    texts = {}

    def linked(lowered, made_for, link=build.link_model):
        texts.update({name: str(llvm.parse_bitcode(entry.bitcode)) for name, entry in lowered.items()})
        return link(lowered, made_for)

    monkeypatch.setattr(build, "link_model", linked)
    monkeypatch.setattr(build, "find", lambda *_: None)
    with model:
        pm.Deterministic("another", pt.exp(model["s"]) + 7.25)  # so that no test has compiled it
    compile_model(model)
    assert texts["expand"].count("call ptr @NRT_MemInfo_alloc") <= 2  # the vector, and what it is made of
