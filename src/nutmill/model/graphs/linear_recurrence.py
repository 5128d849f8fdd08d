"""A recurrence v_t = b_t + sum_k a_kt v_(t-k) along the last axis, as one operation: PyTensor's loop takes longer."""

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op


class LinearRecurrence(Op):
    """v_t = b_t + sum_k a_kt v_(t-k) from 0.

    Backwards it is v_t = b_t + sum_k a_k(t+k) v_(t+k), which its gradient is made of.
    """

    __props__ = ("backwards",)

    def __init__(self, backwards: bool = False):
        self.backwards = backwards

    def make_node(self, *factors_and_terms: Variable) -> Apply:
        """Apply it to a_1, a_2, ... and b, of one shape, float64."""
        inputs = [pt.cast(pt.as_tensor(v), "float64") for v in factors_and_terms]
        return Apply(self, inputs, [inputs[-1].type()])

    def infer_shape(self, *node_and_shapes):
        """Tell PyTensor that the result has the shape of b: PyTensor 2 passes one argument more, in front."""
        return [node_and_shapes[-1][-1]]

    def perform(self, _node, inputs, output_storage):
        """Compute it by NumPy, for callers outside of compiled code."""
        *factors, terms = inputs
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
        factors = inputs[:-1]
        of_terms = LinearRecurrence(backwards=True)(*factors, output_gradients[0])
        return [*(of_terms * before(outputs[0], k) for k, _ in enumerate(factors, 1)), of_terms]

    L_op = pullback  # PyTensor 2


def before(values: Variable, steps: int = 1) -> Variable:
    """Values some steps of the last axis before; 0 before the first."""
    return pt.concatenate([pt.zeros_like(values[..., :steps]), values[..., :-steps]], axis=-1)


linear_recurrence = LinearRecurrence()
