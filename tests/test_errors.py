"""Warnings point at the user's line, however many calls of nutmill's lie between."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.compile.ops import as_op

from nutmill import compile_model
from nutmill.model.python_ops import short


@as_op(itypes=[pt.dvector], otypes=[pt.dvector])
def twice(x):
    return np.asarray(2.0 * x)


def test_a_warning_of_the_compiler_names_the_line_of_the_call():
    with pm.Model() as model:
        x = pm.Normal("x", shape=2)
        pm.Deterministic("seen", twice(x))
    with pytest.warns(UserWarning, match="has no native implementation and runs in Python") as caught:
        compile_model(model)
    (one,) = [warning for warning in caught if "native implementation" in str(warning.message)]
    assert one.filename == __file__


def test_an_operation_in_python_is_named_in_a_few_words():
    times = ", ".join(f"np.float64({time})" for time in range(20))
    assert short(f"DifferentialEquation{{func=<function falling at 0x7f>, times=({times})}}") == "DifferentialEquation"
    assert short("FromFunctionOp{twice}") == "FromFunctionOp{twice}"
