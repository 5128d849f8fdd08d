"""The width that a site is written in, r = sqrt(1 - c + c s^2) of a centredness c and a scale s, as operations.

Written as roots and logarithms it would be drawn into others by PyTensor's rewrites, which take long over it, and each
element would take several of them where one does.
"""

import math

from pytensor.scalar.basic import ScalarOp, upgrade_to_float
from pytensor.tensor.elemwise import Elemwise


class OfWidth(ScalarOp):
    """A function of the width, by centredness and scale."""

    nin = 2

    def supports_c_code(self, inputs, outputs):
        """Tell PyTensor's fusion yes: it asks for C code even where Numba is to compile the fused loop."""
        return True

    def c_code(self, node, name, inputs, outputs, sub):
        """Name the function: PyTensor 2 tells fused loops apart by their C text, which is never compiled here."""
        return f"{outputs[0]} = {type(self).__name__}({', '.join(inputs)});"

    def pullback(self, inputs, outputs, output_gradients):
        """Gradients, by the name that PyTensor 3 has for it."""
        (c, s), (gradient,) = inputs, output_gradients
        along = self.slope(_INVERSE(c, s)) * gradient
        return [0.5 * (s * s - 1.0) * along, c * s * along]

    L_op = pullback  # PyTensor 2


class InverseWidth(OfWidth):
    """1 / r."""

    def impl(self, c, s):
        """Value at Python numbers."""
        return 1.0 / math.sqrt(1.0 - c + c * s * s)

    def slope(self, inverse):
        """Derivative by half of the squared width."""
        return -inverse * inverse * inverse


class LogWidth(OfWidth):
    """log r."""

    def impl(self, c, s):
        """Value at Python numbers."""
        return 0.5 * math.log(1.0 - c + c * s * s)

    def slope(self, inverse):
        """Derivative by half of the squared width."""
        return inverse * inverse


_INVERSE = InverseWidth(upgrade_to_float)
inverse_width, log_width = Elemwise(_INVERSE), Elemwise(LogWidth(upgrade_to_float))
