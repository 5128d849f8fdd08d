"""The matrix exponential with the gradient of PyTensor 3, for PyTensor 2."""

from pytensor.tensor.basic import join, zeros_like
from pytensor.tensor.blockwise import Blockwise

from nutmill.model.compat import Expm


class Exponential(Expm):
    """Exponential of a matrix; its gradient is a block of the exponential of a matrix of twice the size."""

    def L_op(self, inputs, outputs, output_grads):
        """Give the derivative in direction `output_grads`, adjoint: Mathias, SIAM J. Matrix Anal. 17 (1996)."""
        (matrix,), (direction,) = inputs, output_grads
        n = matrix.shape[0]
        above = join(1, matrix.T, direction)
        below = join(1, zeros_like(matrix), matrix.T)
        return [Blockwise(Exponential())(join(0, above, below))[:n, n:]]
