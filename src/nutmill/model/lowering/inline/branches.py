"""One of two arrays by a condition."""

from collections.abc import Sequence

from llvmlite import ir
from numba import types
from pytensor.graph.basic import Apply
from pytensor.tensor.type import TensorType

from nutmill.model.lowering.inline.arrays import Emitter, array_kind, new_array, scalar, view_of
from nutmill.model.lowering.inline.elements.scalar_rules import cast
from nutmill.model.lowering.inline.filling import fill
from nutmill.model.lowering.inline.loops import Axes
from nutmill.model.lowering.inline.operation import Operation


def if_else(node: Apply) -> Operation | None:
    """Write an `IfElse` node: copies of the arrays of one branch; both branches have been computed."""
    if not all(isinstance(v.type, TensorType) for v in (*node.inputs[1:], *node.outputs)):
        return None
    n = len(node.outputs)
    made = [array_kind(v.type.dtype, v.type.ndim) for v in node.outputs]
    if any(v.type.dtype != kind.type.dtype for v, kind in zip(node.inputs[1:], (*node.outputs, *node.outputs))):  # noqa: B905
        return None
    result_kind = made[0] if n == 1 else types.Tuple(made)

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        builder = emitter.builder
        number_kind, number = scalar(emitter, kinds[0], values[0])
        holds = cast(emitter, number, str(number_kind), "bool") if number_kind != types.boolean else number
        holds = builder.trunc(holds, ir.IntType(1)) if holds.type != ir.IntType(1) else holds
        views = [view_of(emitter, kind, value) for kind, value in zip(kinds[1:], values[1:], strict=True)]
        results = []
        for number, kind in enumerate(made):
            yes, no = views[number], views[number + n]
            shape = [builder.select(holds, *pair) for pair in zip(yes.shape, no.shape, strict=True)]
            value, target = new_array(emitter, kind, shape, number)
            with builder.if_else(holds) as (then, otherwise):
                for block, source in ((then, yes), (otherwise, no)):
                    with block:
                        fill(emitter, Axes(source, (False,) * kind.ndim), target)
            results.append(value)
        return results[0] if n == 1 else emitter.context.make_tuple(builder, result_kind, results)

    return Operation(lambda operands: result_kind, emit)
