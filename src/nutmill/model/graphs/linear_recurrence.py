"""A recurrence v_t = a_t v_(t-1) + b_t along the last axis, as one operation: a loop of PyTensor's takes longer."""

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op


class LinearRecurrence(Op):
    """v_t = a_t v_(t-1) + b_t from 0; backwards it is v_t = a_(t+1) v_(t+1) + b_t, which its gradient is made of."""

    __props__ = ("backwards",)

    def __init__(self, backwards: bool = False):
        self.backwards = backwards

    def make_node(self, factors: Variable, terms: Variable) -> Apply:
        """Apply it to a and b, of one shape, float64."""
        factors, terms = (pt.cast(pt.as_tensor(v), "float64") for v in (factors, terms))
        return Apply(self, [factors, terms], [terms.type()])

    def infer_shape(self, *node_and_shapes):
        """Tell PyTensor that the result has the shape of b: PyTensor 2 passes one argument more, in front."""
        return [node_and_shapes[-1][1]]

    def perform(self, _node, inputs, output_storage):
        """Compute it by NumPy, for callers outside of compiled code."""
        factors, terms = inputs
        out = np.array(terms)
        order = range(out.shape[-1] - 2, -1, -1) if self.backwards else range(1, out.shape[-1])
        for t in order:
            before, factor = (t + 1, t + 1) if self.backwards else (t - 1, t)
            out[..., t] += factors[..., factor] * out[..., before]
        output_storage[0][0] = out

    def pullback(self, inputs, outputs, output_gradients):
        """Gradients, by the name that PyTensor 3 has for it."""
        if self.backwards:
            raise NotImplementedError("no gradient is taken of a gradient")
        of_terms = LinearRecurrence(backwards=True)(inputs[0], output_gradients[0])
        return [of_terms * before(outputs[0]), of_terms]

    L_op = pullback  # PyTensor 2


def before(values: Variable) -> Variable:
    """Values a step of the last axis before; 0 before the first."""
    return pt.concatenate([pt.zeros_like(values[..., :1]), values[..., :-1]], axis=-1)


linear_recurrence = LinearRecurrence()
