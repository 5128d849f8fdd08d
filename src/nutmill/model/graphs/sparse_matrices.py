"""Sparse matrices of data: what is computed of them alone is a constant, products with them are loops over entries."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, toposort
from pytensor.sparse import SparseTensorType, as_sparse_variable
from pytensor.sparse.math import Dot, StructuredDot
from pytensor.tensor.random.op import RNGConsumerOp
from scipy.sparse import issparse

from nutmill.errors import ModelError
from nutmill.model.graphs.start import evaluate

_INSTEAD = "write it as a dense one: matrix.toarray()"


def without_sparse(outputs: Sequence[Variable]) -> list[Variable]:
    """Write graphs without sparse constants: a loop over the entries of one takes from an array, and adds to another.

    Such loops, and their gradients, are what the later steps know best. Random variables keep sparse parameters, as
    nothing but PyTensor's interpreter draws them. Raises ModelError for a sparse matrix that may change, and where more
    is computed of one and of parameters than products.
    """
    if not any(is_sparse(variable) for variable in ancestors(outputs)):
        return list(outputs)
    outputs = _with_constants(outputs)
    new: dict[Variable, Variable] = {}
    for node in toposort(outputs):
        new |= zip(node.outputs, _rewritten(node, new), strict=True)
    results = [new.get(variable, variable) for variable in outputs]
    _check(results)
    return results


def is_sparse(variable: Variable) -> bool:
    """Whether a variable is a sparse matrix."""
    return isinstance(variable.type, SparseTensorType)


def _with_constants(outputs: Sequence[Variable]) -> list[Variable]:
    """Put constants in the place of what is computed of constants alone where some of them are sparse."""
    fixed: dict[Variable, None] = {}
    read = dict.fromkeys(outputs)  # by what is not fixed itself
    for node in toposort(list(outputs)):
        is_known = all(isinstance(variable, Constant) or variable in fixed for variable in node.inputs)
        if is_known and any(is_sparse(v) or v in fixed for v in (*node.inputs, *node.outputs)):
            fixed |= dict.fromkeys(node.outputs)
        else:
            read |= dict.fromkeys(node.inputs)
    wanted = [variable for variable in fixed if variable in read]
    constants = {v: _constant(v, value) for v, value in zip(wanted, evaluate([], [], wanted), strict=True)}
    return clone_replace(list(outputs), constants, rebuild_strict=False)


def _constant(variable: Variable, value: object) -> Variable:
    return as_sparse_variable(value) if issparse(value) else pt.as_tensor(np.asarray(value, variable.type.dtype))


def _rewritten(node: Apply, new: Mapping[Variable, Variable]) -> list[Variable]:
    inputs = [new.get(variable, variable) for variable in node.inputs]
    if isinstance(node.op, Dot | StructuredDot) and [is_sparse(v) for v in inputs].count(True) == 1:
        left, right = inputs
        matrix = left if is_sparse(left) else right
        if isinstance(matrix, Constant):
            product = _product(matrix.data, right) if matrix is left else _product(matrix.data.T, left.T).T
            return [pt.cast(product, node.outputs[0].type.dtype)]
    if all(one is other for one, other in zip(inputs, node.inputs, strict=True)):
        return node.outputs
    return node.clone_with_new_inputs(inputs, strict=False).outputs


def _product(matrix, array: Variable) -> Variable:
    """Multiply a sparse matrix, (m, n), by an array, (n,) or (n, k): its entries, row by row."""
    entries = matrix.tocsr().tocoo()
    rows, columns = (np.asarray(index, np.int64) for index in (entries.row, entries.col))
    values = entries.data if array.ndim == 1 else entries.data[:, None]
    taken = pt.as_tensor(values) * array[pt.as_tensor(columns)]
    lengths = [matrix.shape[0], *(array.shape[axis] for axis in range(1, array.ndim))]
    return pt.zeros(lengths, dtype=taken.dtype)[pt.as_tensor(rows)].inc(taken)


def _check(outputs: Sequence[Variable]) -> None:
    """Refuse what is left of sparse data."""
    users: dict[Variable, set[str]] = {}
    for node in toposort(list(outputs)):
        for variable in node.inputs:
            if variable.owner is None and is_sparse(variable) and not isinstance(node.op, RNGConsumerOp):
                users.setdefault(variable, set()).add(type(node.op).__name__)
    for matrix, names in users.items():
        if isinstance(matrix, SharedVariable):
            raise ModelError(
                f"{matrix.name or 'An array of the model'} is a sparse matrix that may change: make a constant of it, "
                f"pytensor.sparse.as_sparse_variable(matrix), or {_INSTEAD}."
            )
        raise ModelError(
            f"A sparse matrix of the model is used by {', '.join(sorted(names))}, and nutmill knows its products with "
            f"arrays alone: {_INSTEAD}."
        )
