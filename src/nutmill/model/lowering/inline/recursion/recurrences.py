"""A linear recurrence of first order: one pass in which each value takes the one before it from a register."""

from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from pytensor.graph.basic import Apply
from pytensor.link.numba.dispatch.basic import numba_funcify, numba_njit

from nutmill.model.graphs.linear_recurrence import LinearRecurrence
from nutmill.model.lowering.inline.arrays import ONE, ZERO, Emitter, array_kind, load, new_array, store, view_of
from nutmill.model.lowering.inline.loops import nest
from nutmill.model.lowering.inline.operation import Operation


def linear_recurrence(node: Apply) -> Operation:
    """Write a `LinearRecurrence` node."""
    kind = array_kind("float64", node.outputs[0].type.ndim)
    backwards = node.op.backwards

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        builder = emitter.builder
        factors, terms = (view_of(emitter, k, v) for k, v in zip(kinds, values, strict=True))
        value, result = new_array(emitter, kind, terms.shape)
        length = terms.shape[-1]
        register = cgutils.alloca_once(builder, emitter.context.get_value_type(kind.dtype))
        factor = cgutils.alloca_once(builder, emitter.context.get_value_type(kind.dtype))
        zero = emitter.context.get_constant(kind.dtype, 0.0)
        with nest(emitter, terms.shape[:-1]) as others:
            builder.store(zero, register)
            builder.store(zero, factor)
            with nest(emitter, [length]) as (i,):
                place = [*others, builder.sub(builder.sub(length, ONE), i) if backwards else i]
                here = load(emitter, factors, place)
                along = (
                    builder.load(factor)
                    if backwards
                    else builder.select(builder.icmp_signed("==", i, ZERO), zero, here)
                )
                total = builder.fadd(builder.fmul(along, builder.load(register)), load(emitter, terms, place))
                builder.store(total, register)
                builder.store(here, factor)
                store(emitter, result, place, total)
        return value

    return Operation(lambda operands: kind, emit)


@numba_funcify.register(LinearRecurrence)
def _numba_form(op: LinearRecurrence, **_) -> Callable:
    """PyTensor's way to compile it, where nutmill's own is not asked for."""
    backwards = op.backwards

    @numba_njit
    def recurrence(factors, terms):
        out = terms.copy()
        n = out.shape[-1]
        rows, of_rows = out.reshape((-1, n)), np.ascontiguousarray(factors).reshape((-1, n))
        for row in range(rows.shape[0]):
            for i in range(1, n):
                if backwards:
                    rows[row, n - 1 - i] += of_rows[row, n - i] * rows[row, n - i]
                else:
                    rows[row, i] += of_rows[row, i] * rows[row, i - 1]
        return out

    return recurrence
