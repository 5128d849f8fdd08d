"""Special functions that SciPy holds: called through slots, on one number or over a loop, with their gradients."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.special
from model.inlining import inlined, interpreted
from pymc.distributions import dist_math
from pytensor.compile.mode import Mode
from pytensor.scalar import math as scalar_math
from pytensor.tensor.elemwise import Elemwise

from nutmill import compile_model
from nutmill.model.lowering.slots import declare_slots
from nutmill.native.routines import SPECIAL, special_address

declare_slots()
UNUSUAL = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e300]
# Values among which all functions of so many arguments are ordinary.
ORDINARY = {1: [(0.3,), (1.7,), (0.9,)], 2: [(0.7, 0.2), (3.1, 0.9)], 3: [(0.7, 2.0, 0.2), (3.1, 0.5, 0.9)]}
ORDINARY |= {4: [(0.7, 2.0, 1.5, 0.2), (3.1, 0.5, 2.5, -0.9)]}
GRADIENTS = ("erfcx", "i0", "i1")
EXPENSIVE_GRADIENTS = ("gammainc", "gammaincc", "betainc", "hyp2f1")  # loops in many copies: up to a minute to compile


@pytest.mark.parametrize("name", sorted(SPECIAL))
def test_values_are_those_of_scipy(name):
    assert special_address(name)
    op = getattr(scalar_math, name, None) or getattr(dist_math, f"{name}_scalar", None)
    if op is None:
        pytest.skip("this PyTensor has no such function")
    operands = [pt.vector() for _ in range(SPECIAL[name])]
    outputs = [Elemwise(op)(*operands)]
    unusual = [[value] * SPECIAL[name] for value in UNUSUAL]
    columns = [np.array(column) for column in zip(*ORDINARY[SPECIAL[name]], *unusual, strict=True)]
    (found,) = inlined(operands, outputs)(*columns)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(found, getattr(scipy.special, name)(*columns), rtol=1e-14)


def test_integers_are_converted():
    x = pt.vector(dtype="int8")
    values = np.array([1, 2, 5], dtype="int8")
    (found,) = inlined([x], [pt.gamma(x)])(values)
    np.testing.assert_allclose(found, [1.0, 1.0, 24.0], rtol=1e-6)


@pytest.mark.parametrize("name", [*GRADIENTS, *(pytest.param(n, marks=pytest.mark.slow) for n in EXPENSIVE_GRADIENTS)])
def test_gradients_are_those_of_the_interpreter(name):
    """Incomplete functions have gradients that PyTensor sums in loops of its own."""
    operands = [pt.vector() for _ in range(getattr(scalar_math, name).nin)]
    gradients = pytensor.grad(Elemwise(getattr(scalar_math, name))(*operands).sum(), operands)
    columns = [np.array(column) for column in zip(*ORDINARY[len(operands)], strict=True)]
    found = inlined(operands, gradients)(*columns)
    for one, other in zip(found, interpreted(operands, gradients, columns), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11)


def cumulative(x):
    """Cumulative distribution functions of a gamma, a beta and a Student t variable, and censored normal tails."""
    t = pt.betainc(2.0, 0.5, 4.0 / (4.0 + x**2))
    return (
        pt.log(pt.gammainc(pt.exp(x), 2.0))
        + pt.log(pt.betainc(pt.exp(x), 2.0, 0.3))
        + t
        - pt.erfcx(x)
        + dist_math.i0e(x)
    )


def test_a_density_with_them_is_fused_and_agrees_in_both_forms():
    x = pt.scalar("x")
    logp = cumulative(x) - x**2
    forms = [compile_model(logp, start={"x": 0.5}, fuse=fuse) for fuse in (True, False)]
    assert [form.code.fused for form in forms] == [True, False] and not forms[0].code.python_ops
    gradient = pytensor.function([x], [logp, pytensor.grad(logp, x)], mode=Mode(linker="py", optimizer="fast_compile"))
    for point in (0.5, -0.4, 1.3):
        expected = gradient(point)
        for form in forms:
            value, slope = form.logp_dlogp(np.array([point]))
            np.testing.assert_allclose(value, expected[0], rtol=1e-12)
            # PyTensor sums these gradients until a term is small.
            np.testing.assert_allclose(slope[0], expected[1], rtol=1e-7)
