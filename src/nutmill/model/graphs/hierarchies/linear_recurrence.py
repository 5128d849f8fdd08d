"""A recurrence v_t = b_t + sum_k a_kt v_(t-k) along the last axis, and the values before each, as operations.

PyTensor's loop takes longer; and of arrays that are joined it compiles how long they are, where that is not known.
"""

from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op


class LinearRecurrence(Op):
    """v_t = b_t + sum_k a_kt v_(t-k) from 0.

    Backwards it is v_t = b_t + sum_k a_k(t+k) v_(t+k), which its gradient is made of. If it is `shaped`, nothing is
    read of the last input: it has the shape of the result, which PyTensor would else look for behind all others.
    """

    __props__ = ("backwards", "shaped")

    def __init__(self, backwards: bool = False, shaped: bool = False):
        self.backwards, self.shaped = backwards, shaped

    def read(self, inputs: Sequence) -> Sequence:
        """Give a_1, a_2, ... and b of all inputs."""
        return inputs[:-1] if self.shaped else inputs

    def make_node(self, *factors_and_terms: Variable) -> Apply:
        """Apply it to a_1, a_2, ... and b, of one shape, float64, and to what has their shape if it is shaped."""
        inputs = [pt.cast(pt.as_tensor(v), "float64") for v in factors_and_terms]
        return Apply(self, inputs, [self.read(inputs)[-1].type()])

    def infer_shape(self, *node_and_shapes):
        """Tell PyTensor that the result has the shape of the last: PyTensor 2 passes one argument more, in front."""
        return [node_and_shapes[-1][-1]]

    def connection_pattern(self, node):
        """Tell PyTensor that values do not depend on what has their shape."""
        n_read = len(self.read(node.inputs))
        return [[number < n_read] for number in range(len(node.inputs))]

    def perform(self, _node, inputs, output_storage):
        """Compute it by NumPy, for callers outside of compiled code."""
        *factors, terms = self.read(inputs)
        out, length = np.array(terms), terms.shape[-1]
        for t in reversed(range(length)) if self.backwards else range(length):
            for k, factor in enumerate(factors, 1):
                before, at = (t + k, t + k) if self.backwards else (t - k, t)
                if 0 <= before < length:
                    out[..., t] += factor[..., at] * out[..., before]
        output_storage[0][0] = out

    def pullback(self, inputs, outputs, output_gradients):
        """Gradients, by the name that PyTensor 3 has for it."""
        if self.backwards:
            raise NotImplementedError("no gradient is taken of a gradient")
        factors = self.read(inputs)[:-1]
        of_terms = LinearRecurrence(backwards=True)(*factors, output_gradients[0])
        return [*(of_terms * before(outputs[0], k) for k, _ in enumerate(factors, 1)), of_terms, *self._none]

    L_op = pullback  # PyTensor 2

    @property
    def _none(self) -> list[Variable]:
        """Gradient by what has the shape."""
        return [disconnected_type()] if self.shaped else []


class Neighbour(Op):
    """Values some steps before along the last axis, 0 before the first; backwards those after it."""

    __props__ = ("steps", "backwards")

    def __init__(self, steps: int, backwards: bool = False):
        self.steps, self.backwards = steps, backwards

    def make_node(self, values: Variable) -> Apply:
        """Apply it to values, float64."""
        values = pt.cast(pt.as_tensor(values), "float64")
        return Apply(self, [values], [values.type()])

    def infer_shape(self, *node_and_shapes):
        """Tell PyTensor that the result has the shape of the values: PyTensor 2 passes one argument more, in front."""
        return [node_and_shapes[-1][0]]

    def perform(self, _node, inputs, output_storage):
        """Compute it by NumPy, for callers outside of compiled code."""
        out, later, earlier = np.zeros_like(inputs[0]), slice(self.steps, None), slice(None, -self.steps)
        to, of = (earlier, later) if self.backwards else (later, earlier)
        out[..., to] = inputs[0][..., of]
        output_storage[0][0] = out

    def pullback(self, inputs, outputs, output_gradients):
        """Gradients, by the name that PyTensor 3 has for it."""
        return [Neighbour(self.steps, not self.backwards)(output_gradients[0])]

    L_op = pullback  # PyTensor 2


def before(values: Variable, steps: int = 1) -> Variable:
    """Values some steps of the last axis before; 0 before the first."""
    return Neighbour(steps)(values)


linear_recurrence = LinearRecurrence()
