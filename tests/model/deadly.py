"""An op that kills the process that compiles it, as the system does with one that takes too much memory."""

import os

from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_funcify


class Deadly(Op):
    """Minus half a square."""

    __props__ = ("signal",)

    def __init__(self, signal_: int):
        self.signal = signal_

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = -0.5 * inputs[0] ** 2

    def grad(self, inputs, gradients):
        return [-inputs[0] * gradients[0]]

    def pullback(self, inputs, outputs, gradients):
        return self.grad(inputs, gradients)


@numba_funcify.register(Deadly)
def _kill(op, **options):
    if os.environ.get("NUTMILL_TEST_PARENT") != str(os.getpid()):
        os.kill(os.getpid(), op.signal)
        raise SystemExit(7)
    raise AssertionError("the parent compiles")
