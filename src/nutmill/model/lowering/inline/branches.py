"""One of two arrays by a condition."""

from collections.abc import Sequence

from llvmlite import ir
from numba import types
from pytensor.graph.basic import Apply
from pytensor.tensor.type import TensorType

from nutmill.model.lowering.inline.arrays import Emitter, array_kind, new_array, truth, view_of
from nutmill.model.lowering.inline.filling import fill
from nutmill.model.lowering.inline.loops import Axes
from nutmill.model.lowering.inline.operation import Operation, kind_of_results, one_or_several


def if_else(node: Apply) -> Operation | None:
    """Write an `IfElse` node: copies of the arrays of one branch; both branches have been computed."""
    if not all(isinstance(v.type, TensorType) for v in (*node.inputs[1:], *node.outputs)):
        return None
    n = len(node.outputs)
    made = [array_kind(v.type.dtype, v.type.ndim) for v in node.outputs]
    if any(v.type.dtype != out.type.dtype for v, out in zip(node.inputs[1:], node.outputs * 2, strict=True)):
        return None
    result_kind = kind_of_results(made)

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        builder = emitter.builder
        is_true = truth(emitter, kinds[0], values[0])
        views = [view_of(emitter, kind, value) for kind, value in zip(kinds[1:], values[1:], strict=True)]
        results = []
        for number, kind in enumerate(made):
            yes, no = views[number], views[number + n]
            shape = [builder.select(is_true, *pair) for pair in zip(yes.shape, no.shape, strict=True)]
            value, target = new_array(emitter, kind, shape, number)
            with builder.if_else(is_true) as (then, otherwise):
                for block, source in ((then, yes), (otherwise, no)):
                    with block:
                        fill(emitter, Axes(source, (False,) * kind.ndim), target)
            results.append(value)
        return one_or_several(results)

    return Operation(lambda operands: result_kind, emit)
