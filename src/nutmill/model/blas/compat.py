"""Where the two lines of PyTensor keep the classes of their linear-algebra ops."""

try:
    from pytensor.tensor.linalg import (
        Cholesky,
        CholeskySolve,
        Det,
        MatrixInverse,
        SLogDet,
        Solve,
        SolveTriangular,
    )
except ImportError:  # PyTensor 2
    from pytensor.tensor.nlinalg import Det, MatrixInverse, SLogDet
    from pytensor.tensor.slinalg import Cholesky, CholeskySolve, Solve, SolveTriangular

__all__ = ["Cholesky", "CholeskySolve", "Det", "MatrixInverse", "SLogDet", "Solve", "SolveTriangular"]
