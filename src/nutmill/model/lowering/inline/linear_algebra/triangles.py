"""Triangular systems of one right-hand side, by loops over a few rows at once."""

from collections.abc import Sequence
from typing import NamedTuple

from llvmlite import ir
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import WORD, ZERO, Emitter, View, itemsize
from nutmill.model.lowering.inline.linear_algebra.matrices import DOUBLE, LOOSE, Matrix
from nutmill.model.lowering.inline.loops import Memory

# So many unknowns are found together: what is known is then read once for all of them.
_TOGETHER = 4


class FactorForm(NamedTuple):
    """Which triangle, whether it is transposed, and whether its diagonal is taken as 1 and not read."""

    lower: bool
    is_transposed: bool
    unit: bool


def solve_vector(emitter: Emitter, a: Matrix, x: View, form: FactorForm) -> None:
    """Solve ``T @ x == b`` in place of b, a vector that lies dense; T has no zero on its diagonal."""
    by_rows = emitter.builder.not_(a.by_rows) if form.is_transposed else a.by_rows
    far, near = emitter.builder.mul(a.stride, WORD(itemsize(emitter, x.kind))), WORD(itemsize(emitter, x.kind))
    kind = x.kind.copy(ndim=2, layout="A")
    is_lower = form.lower != form.is_transposed
    with emitter.builder.if_else(by_rows) as (along_rows, along_columns):
        with along_rows:
            triangle = View(kind, a.data, [x.shape[0]] * 2, [far, near])
            _Solver(emitter, triangle, x, is_lower, form.unit).solve(by_rows=True)
        with along_columns:
            triangle = View(kind, a.data, [x.shape[0]] * 2, [near, far])
            _Solver(emitter, triangle, x, is_lower, form.unit).solve(by_rows=False)


class _Solver:
    def __init__(self, emitter: Emitter, triangle: View, x: View, is_lower: bool, unit: bool):
        self._emitter, self._builder = emitter, emitter.builder
        self._triangle, self._x = triangle, x
        self._is_lower, self._unit = is_lower, unit
        self._memory = Memory(emitter)

    def solve(self, *, by_rows: bool) -> None:
        """Find all unknowns, a few at a time, from the first of a lower triangle or the last of an upper one."""
        builder, n = self._builder, self._x.shape[0]
        rest = builder.and_(n, WORD(_TOGETHER - 1))
        many = builder.sub(n, rest)
        for width, begin, end in ((_TOGETHER, ZERO, many), (1, many, n)):
            with cgutils.for_range_slice(builder, begin, end, WORD(width)) as (n_known, _):
                first = n_known if self._is_lower else builder.sub(builder.sub(n, n_known), WORD(width))
                rows = [builder.add(first, WORD(i)) for i in range(width)]
                (self._by_rows if by_rows else self._by_columns)(rows if self._is_lower else rows[::-1])

    def _by_rows(self, rows: Sequence[ir.Value]) -> None:
        """Take what is known off each row when its unknown is due."""
        builder = self._builder
        registers = [cgutils.alloca_once_value(builder, DOUBLE(0.0)) for _ in rows]
        begin, end = (ZERO, rows[0]) if self._is_lower else (builder.add(rows[0], WORD(1)), self._x.shape[0])
        with cgutils.for_range(builder, end, start=begin) as known:
            value = self._memory.load_new(self._x, [known.index])
            for register, row in zip(registers, rows, strict=True):
                product = builder.fmul(self._entry(row, known.index), value, flags=LOOSE)
                builder.store(builder.fadd(builder.load(register), product, flags=LOOSE), register)
        self._block(rows, [builder.load(register) for register in registers])

    def _by_columns(self, rows: Sequence[ir.Value]) -> None:
        """Take an unknown off all other rows as soon as it is known."""
        builder = self._builder
        values = self._block(rows, [DOUBLE(0.0)] * len(rows))
        begin, end = (builder.add(rows[-1], WORD(1)), self._x.shape[0]) if self._is_lower else (ZERO, rows[-1])
        with cgutils.for_range(builder, end, start=begin) as other:
            left = self._memory.load_new(self._x, [other.index])
            for row, value in zip(rows, values, strict=True):
                product = builder.fmul(self._entry(other.index, row), value, flags=LOOSE)
                left = builder.fsub(left, product, flags=LOOSE)
            self._memory.store_new(self._x, [other.index], left)

    def _block(self, rows: Sequence[ir.Value], known: Sequence[ir.Value]) -> list[ir.Value]:
        """Find the unknowns of a few rows, in their order; `known` is what others contribute to each row."""
        builder = self._builder
        values: list[ir.Value] = []
        for row, product in zip(rows, known, strict=True):
            left = builder.fsub(self._memory.load_new(self._x, [row]), product, flags=LOOSE)
            for other, value in zip(rows, values, strict=False):
                left = builder.fsub(left, builder.fmul(self._entry(row, other), value, flags=LOOSE), flags=LOOSE)
            values.append(left if self._unit else builder.fdiv(left, self._entry(row, row)))
            self._memory.store_new(self._x, [row], values[-1])
        return values

    def _entry(self, row: ir.Value, column: ir.Value) -> ir.Value:
        return self._memory.load_given(self._triangle, [row, column])
