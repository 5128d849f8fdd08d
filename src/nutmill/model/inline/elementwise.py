"""Elementwise operations: one loop nest, scalars loaded before it, results in new arrays or in place."""

from collections.abc import Sequence

from llvmlite import ir
from numba import types
from pytensor.graph.basic import Apply

from nutmill.model.inline.arrays import Emitter, View, array_kind, new_array, shared, store, view_of
from nutmill.model.inline.loops import Axes, Memory, at, common_shape, flattened, nest
from nutmill.model.inline.operation import Operation
from nutmill.model.inline.scalars import Scalar

_MISFIT = "arrays of the model that are combined element by element have different lengths"


def elementwise(node: Apply) -> Operation:
    """Write an `Elemwise` node."""
    scalar = Scalar(node.op.scalar_op, [v.type.dtype for v in node.inputs])
    return Operation("elementwise", _Results(node), _Elementwise(node, scalar))


class _Results:
    """Types of the results: new arrays run along the rows, one in place of an operand is like that operand."""

    def __init__(self, node: Apply):
        self._kinds = [array_kind(v.type.dtype, v.type.ndim) for v in node.outputs]
        self._in_place = dict(node.op.inplace_pattern)

    def __call__(self, operands: Sequence[types.Type]) -> types.Type:
        kinds = [operands[self._in_place[i]] if i in self._in_place else kind for i, kind in enumerate(self._kinds)]
        return kinds[0] if len(kinds) == 1 else types.Tuple(kinds)


class _Elementwise:
    def __init__(self, node: Apply, scalar: Scalar):
        self._scalar = scalar
        self._broadcasts = [v.type.broadcastable for v in node.inputs]
        self._results = _Results(node)
        self._in_place = dict(node.op.inplace_pattern)
        self._n_results = len(node.outputs)

    def __call__(self, emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        operands = [
            Axes(view_of(emitter, kind, value), broadcasts)
            for kind, value, broadcasts in zip(kinds, values, self._broadcasts, strict=True)
        ]
        shape = common_shape(emitter, operands, _MISFIT)
        result_kind = self._results(kinds)
        single = self._n_results == 1
        result_kinds = [result_kind] if single else list(result_kind.types)
        results, outputs = [], []
        for number, kind in enumerate(result_kinds):
            source = self._in_place.get(number)
            if source is None:
                value, view = new_array(emitter, kind, shape)
            else:
                value, view = shared(emitter, kind, values[source]), operands[source].view
            results.append(value)
            outputs.append(Axes(view, (False,) * len(shape)))
        self._loop(emitter, operands, outputs, shape)
        return results[0] if single else emitter.context.make_tuple(emitter.builder, result_kind, results)

    def _loop(self, emitter: Emitter, operands: list[Axes], outputs: list[Axes], shape: list[ir.Value]) -> None:
        flat = flattened(emitter, [*operands, *outputs], shape)
        if flat is not None:
            everything, shape = flat
            operands, outputs = everything[: len(operands)], everything[len(operands) :]
        memory = Memory(emitter)
        fixed = {
            i: memory.load_given(operand.view, at(operand, [None] * len(shape)))
            for i, operand in enumerate(operands)
            if operand.is_constant
        }
        with nest(emitter, shape) as indices:
            loaded = [
                fixed[i] if i in fixed else memory.load_given(operand.view, at(operand, indices))
                for i, operand in enumerate(operands)
            ]
            computed = self._scalar.emit(emitter, loaded)
            for number, (output, value) in enumerate(zip(outputs, computed, strict=True)):
                _store(emitter, memory, output.view, indices, value, is_new=number not in self._in_place)


def _store(emitter: Emitter, memory: Memory, view: View, indices, value: ir.Value, *, is_new: bool) -> None:
    if is_new:
        memory.store_new(view, indices, value)
    else:
        store(emitter, view, indices, value)
