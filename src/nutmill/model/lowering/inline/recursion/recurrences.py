"""A linear recurrence, one pass in which each value takes those before it from registers; and neighbours."""

from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from pytensor.graph.basic import Apply
from pytensor.link.numba.dispatch.basic import numba_funcify, numba_njit

from nutmill.model.graphs.hierarchies.linear_recurrence import LinearRecurrence, Neighbour
from nutmill.model.lowering.inline.arrays import ONE, WORD, ZERO, Emitter, array_kind, load, new_array, store, view_of
from nutmill.model.lowering.inline.loops import nest
from nutmill.model.lowering.inline.operation import Operation

_FUSED = ("contract",)


class _Past:
    """What a loop has met in its last rounds, in registers; 0 before the first."""

    def __init__(self, emitter: Emitter, kind: ir.Type, rounds: int):
        self._builder = emitter.builder
        self._registers = [cgutils.alloca_once(emitter.builder, kind) for _ in range(rounds)]
        self._zero = ir.Constant(kind, 0.0)

    def forget(self) -> None:
        """Begin anew."""
        for register in self._registers:
            self._builder.store(self._zero, register)

    def ago(self, rounds: int) -> ir.Value:
        """Give what was met some rounds ago."""
        return self._builder.load(self._registers[rounds - 1])

    def add(self, value: ir.Value) -> None:
        """Note what is met in this round, at its end."""
        for number in reversed(range(1, len(self._registers))):
            self._builder.store(self.ago(number), self._registers[number])
        self._builder.store(value, self._registers[0])


def linear_recurrence(node: Apply) -> Operation:
    """Write a `LinearRecurrence` node."""
    kind = array_kind("float64", node.outputs[0].type.ndim)
    backwards, order = node.op.backwards, len(node.op.read(node.inputs)) - 1

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        builder = emitter.builder
        *factors, terms = (view_of(emitter, k, v) for k, v in zip(*map(node.op.read, (kinds, values)), strict=True))
        value, result = new_array(emitter, kind, terms.shape)
        length, number = terms.shape[-1], emitter.context.get_value_type(kind.dtype)
        met = _Past(emitter, number, order)
        factors_met = [_Past(emitter, number, k) for k in range(1, order + 1)]
        zero = emitter.context.get_constant(kind.dtype, 0.0)
        with nest(emitter, terms.shape[:-1]) as others:
            for past in (met, *factors_met):
                past.forget()
            with nest(emitter, [length]) as (i,):
                place = [*others, builder.sub(builder.sub(length, ONE), i) if backwards else i]
                total = load(emitter, terms, place)
                for k, (factor, past) in enumerate(zip(factors, factors_met, strict=True), 1):
                    here = load(emitter, factor, place)
                    is_first = builder.icmp_signed("<", i, ir.Constant(i.type, k))
                    along = past.ago(k) if backwards else builder.select(is_first, zero, here)
                    # In one instruction, for which the next value waits half as long.
                    total = builder.fadd(builder.fmul(along, met.ago(k), flags=_FUSED), total, flags=_FUSED)
                    past.add(here)
                met.add(total)
                store(emitter, result, place, total)
        return value

    return Operation(lambda operands: kind, emit)


def neighbour(node: Apply) -> Operation:
    """Write a `Neighbour` node."""
    kind = array_kind("float64", node.outputs[0].type.ndim)
    steps, backwards = WORD(node.op.steps), node.op.backwards

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        builder = emitter.builder
        given = view_of(emitter, kinds[0], values[0])
        value, result = new_array(emitter, kind, given.shape)
        zero, length = emitter.context.get_constant(kind.dtype, 0.0), given.shape[-1]
        has_any = builder.icmp_signed(">", length, steps)
        moved = builder.select(has_any, builder.sub(length, steps), ZERO)
        with nest(emitter, given.shape[:-1]) as others:
            with nest(emitter, [builder.sub(length, moved)]) as (i,):
                store(emitter, result, [*others, builder.add(moved, i) if backwards else i], zero)
            with nest(emitter, [moved]) as (i,):
                here, there = [*others, i], [*others, builder.add(i, steps)]
                to, of = (here, there) if backwards else (there, here)
                store(emitter, result, to, load(emitter, given, of))
        return value

    return Operation(lambda operands: kind, emit)


@numba_funcify.register(Neighbour)
def _neighbour_by_numba(op: Neighbour, **_) -> Callable:
    """PyTensor's way to compile it, where nutmill's own is not asked for."""
    steps, backwards = op.steps, op.backwards

    @numba_njit
    def neighbours(values):
        out = np.zeros_like(values)
        if backwards:
            out[..., :-steps] = values[..., steps:]
        else:
            out[..., steps:] = values[..., :-steps]
        return out

    return neighbours


@numba_funcify.register(LinearRecurrence)
def _numba_form(op: LinearRecurrence, **_) -> Callable:
    """PyTensor's way to compile it, where nutmill's own is not asked for."""
    backwards, n_read = op.backwards, -1 if op.shaped else None

    @numba_njit
    def recurrence(*inputs):
        factors_and_terms = inputs[:n_read]
        terms = factors_and_terms[-1]
        out, n, order = terms.copy(), terms.shape[-1], len(factors_and_terms) - 1
        rows = out.reshape((-1, n))
        of_rows = [np.ascontiguousarray(factor).reshape((-1, n)) for factor in factors_and_terms[:-1]]
        for row in range(rows.shape[0]):
            for i in range(1, n):
                for k in range(1, min(i, order) + 1):
                    factors = of_rows[k - 1]
                    if backwards:
                        rows[row, n - 1 - i] += factors[row, n - 1 - i + k] * rows[row, n - 1 - i + k]
                    else:
                        rows[row, i] += factors[row, i] * rows[row, i - k]
        return out

    return recurrence
