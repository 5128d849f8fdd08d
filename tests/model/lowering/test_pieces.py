"""Small arrays lie in memory of the caller's stack: none is shown to what may keep it, and any length is right."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from model.inlining import INTERPRETED
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

from nutmill import compile_model
from nutmill.model.lowering.inline.step_memory import Pieces

PIECE = Pieces.BYTES // 8  # numbers


class Keeper(Op):
    """A likelihood in Python that keeps what it was called with, as people do who look for an error."""

    def __init__(self):
        self.seen: list[np.ndarray] = []

    def make_node(self, x):
        return Apply(self, [x], [pt.dscalar()])

    def perform(self, node, inputs, output_storage):
        self.seen.append(inputs[0])
        output_storage[0][0] = np.asarray(-0.5 * (inputs[0] ** 2).sum())

    def grad(self, inputs, gradients):
        return [-inputs[0] * gradients[0]]

    def pullback(self, inputs, outputs, gradients):
        return self.grad(inputs, gradients)


def hierarchy(n: int) -> pm.Model:
    rng = np.random.default_rng(n)
    group = np.tile(np.arange(n), 3)
    with pm.Model() as model:
        location, scale = pm.Normal("location"), pm.HalfNormal("scale")
        effect = pm.Normal("effect", location, scale, shape=n)
        pm.Normal("y", pt.exp(0.1 * effect)[group], 1.0, observed=rng.normal(size=3 * n))
    return model


@pytest.fixture(scope="module")
def compiled():
    """One code for all lengths."""
    return {n: compile_model(hierarchy(n)) for n in (1, 7, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE)}


def test_arrays_that_fit_and_those_that_do_not_give_the_same(compiled):
    for n, model in compiled.items():
        written = hierarchy(n)
        value = written.logp(jacobian=True)
        expected = pytensor.function(
            written.value_vars, [value, *pytensor.grad(value, written.value_vars)], mode=INTERPRETED
        )
        position = np.random.default_rng(n).normal(size=model.n_dim)
        for _ in range(3):  # whoever uses the stack next writes over what was there
            lp, gradient = model.logp_dlogp(position)
            model.logp_dlogp(np.full(model.n_dim, 5.0))
        right = expected(*model.split(position).values())
        assert lp == pytest.approx(float(right[0]), rel=1e-12)
        np.testing.assert_allclose(gradient, np.concatenate([np.ravel(v) for v in right[1:]]), rtol=1e-9, atol=1e-9)


def test_what_python_has_seen_lies_apart():
    """Memory of arrays that are kept is that of no later gradient."""
    keeper = Keeper()
    with pm.Model() as model:
        x = pm.Normal("x", shape=5)
        pm.Potential("kept", keeper(pt.exp(x)[::-1]))
    with pytest.warns(UserWarning, match="Keeper .* runs in Python"):
        compiled = compile_model(model)
    keeper.seen.clear()
    for position in np.random.default_rng(1).normal(size=(20, 5)):
        compiled.logp_dlogp(position)
    assert len({array.ctypes.data for array in keeper.seen}) == len(keeper.seen) == 20
