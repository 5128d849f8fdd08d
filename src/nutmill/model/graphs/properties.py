"""The properties of PyTensor's operations that nutmill's own forms know.

A form is chosen by the class of an operation, and reads the properties that the class had when it was written. A later
PyTensor may give a class another one, which the form would pass over without a word; such operations go to PyTensor's
Numba form.
"""

import logging
from functools import cache
from typing import Any

from pytensor.compile.ops import DeepCopyOp, ViewOp
from pytensor.graph.op import Op
from pytensor.raise_op import CheckAndRaise
from pytensor.scalar.basic import Composite, ScalarOp
from pytensor.scalar.loop import ScalarLoop
from pytensor.scan.op import Scan
from pytensor.tensor import basic
from pytensor.tensor.blas import BatchedDot
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.extra_ops import CumOp, RavelMultiIndex, SearchsortedOp, UnravelIndex
from pytensor.tensor.math import Argmax, Dot, Max, Min, Prod
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.signal.conv import Convolve1d, Convolve2d
from pytensor.tensor.sort import ArgSortOp, SortOp
from pytensor.tensor.special import LogSoftmax, Softmax
from pytensor.tensor.subtensor import AdvancedIncSubtensor, AdvancedSubtensor, IncSubtensor, Subtensor

from nutmill.model import compat

_log = logging.getLogger("nutmill")

# Of either line of PyTensor; a class has those of its bases, too.
KNOWN: dict[type[Op], tuple[str, ...]] = {
    Elemwise: ("scalar_op", "inplace_pattern"),
    ScalarOp: (),
    Composite: ("fgraph",),
    ScalarLoop: ("fgraph",),
    DimShuffle: ("input_ndim", "new_order"),
    CAReduce: ("scalar_op", "axis", "dtype", "acc_dtype", "upcast_discrete_output"),
    Prod: ("no_zeros_in_input",),  # a hint to the gradient
    # Nothing has the lowest value as its maximum if this is true, and is an error if not; here it is never an error.
    Max: ("initial",),
    Min: ("initial",),
    Subtensor: ("idx_list",),
    IncSubtensor: ("idx_list", "inplace", "set_instead_of_inc", "destroyhandler_tolerate_aliased"),
    basic.Alloc: (),
    basic.AllocEmpty: ("dtype",),
    basic.MakeVector: ("dtype",),
    basic.Join: ("axis",),
    basic.Split: ("len_splits", "axis"),
    basic.ARange: ("dtype",),
    CumOp: ("axis", "mode"),
    Argmax: ("axis",),
    basic.ExtractDiag: ("offset", "axis1", "axis2", "view"),
    basic.AllocDiag: ("offset", "axis1", "axis2"),
    basic.Eye: ("dtype",),
    SpecifyShape: (),
    CheckAndRaise: ("msg", "exc_type", "can_be_replaced_by_ninf"),  # the last is PyMC's hint to rewrites
    Shape: (),
    Reshape: ("ndim",),
    Shape_i: ("i",),
    basic.ScalarFromTensor: (),
    basic.TensorFromScalar: (),
    DeepCopyOp: (),
    ViewOp: (),
    Scan: (),  # its properties are fields of its `info`, which `inline/recursion/recursions.py` looks at
    compat.AdvancedSubtensor1: (),
    compat.AdvancedIncSubtensor1: ("inplace", "set_instead_of_inc"),
    AdvancedSubtensor: ("idx_list",),
    AdvancedIncSubtensor: ("idx_list", "inplace", "set_instead_of_inc", "ignore_duplicates"),
    Blockwise: ("core_op", "signature"),
    Dot: (),
    BatchedDot: (),
    compat.Cholesky: ("lower", "overwrite_a"),
    compat.SolveTriangular: ("unit_diagonal", "lower", "b_ndim", "overwrite_b"),
    compat.CholeskySolve: ("lower", "b_ndim", "overwrite_b"),
    compat.Solve: ("assume_a", "lower", "b_ndim", "overwrite_a", "overwrite_b"),
    compat.MatrixInverse: (),
    compat.SLogDet: (),
    compat.Det: (),
    compat.Eigh: ("UPLO", "lower", "overwrite_a", "overwrite_b", "driver"),
    compat.EighGrad: ("UPLO",),
    compat.Eigvalsh: ("lower", "overwrite_a", "overwrite_b"),
    compat.QR: ("overwrite_a", "mode", "pivoting"),
    compat.BlockDiagonal: ("n_inputs",),
    compat.Expm: ("overwrite_a",),
    compat.IfElse: ("as_view", "n_outs"),
    SearchsortedOp: ("side",),
    RavelMultiIndex: ("mode", "order"),
    UnravelIndex: ("order",),
    SortOp: ("kind", "axis"),
    ArgSortOp: ("kind", "axis"),
    Convolve1d: (),
    Convolve2d: ("method",),
    LogSoftmax: ("axis",),
    compat.SoftmaxGrad: ("axis",),
    Softmax: ("axis",),
}


def is_known(op: Op) -> bool:
    """Whether an operation, and the one that it repeats, have no property that came after their form here.

    One that has is named in the log, once.
    """
    repeated = [getattr(op, name, None) for name in ("core_op", "scalar_op")]
    kinds = [type(each) for each in (op, *repeated) if isinstance(each, Op)]
    return not any(_has_unknown(kind) for kind in kinds)


def _has_unknown(kind: Any) -> bool:
    return bool(_unknown(kind, tuple(getattr(kind, "__props__", None) or ())))


@cache
def _unknown(kind: type, properties: tuple[str, ...]) -> list[str]:
    if kind.__module__.partition(".")[0] == "nutmill":
        return []
    known = {name for base in kind.__mro__ for name in KNOWN.get(base, ())}
    unknown = sorted(set(properties) - known)
    if unknown and any(base in KNOWN for base in kind.__mro__):
        _log.info("PyTensor's Numba form of %s is taken: nutmill's own does not know its %s", kind, ", ".join(unknown))
    return unknown
