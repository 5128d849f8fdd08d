"""Where the two lines of PyTensor keep the classes of their linear-algebra ops."""

try:
    from pytensor.tensor.linalg import Cholesky, CholeskySolve, SolveTriangular
except ImportError:  # PyTensor 2
    from pytensor.tensor.slinalg import Cholesky, CholeskySolve, SolveTriangular

__all__ = ["Cholesky", "CholeskySolve", "SolveTriangular"]
