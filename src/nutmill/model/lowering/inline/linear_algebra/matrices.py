"""Matrices as BLAS reads them: in place where one axis has stride 1, else as a copy; and calls of its routines."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import (
    ONE,
    WORD,
    ZERO,
    Emitter,
    View,
    array_kind,
    itemsize,
    load,
    new_array,
    store,
)
from nutmill.model.lowering.inline.filling import copy
from nutmill.model.lowering.inline.loops import nest
from nutmill.native.routines import BLAS, LAPACK, SLOT_PREFIX

DOUBLE, SINGLE, INT32 = ir.DoubleType(), ir.FloatType(), ir.IntType(32)
BYTE, BIT = ir.IntType(8), ir.IntType(1)
_POINTER = BYTE.as_pointer()
# Sums may be reordered so that they vectorise; NaN and infinities keep their meaning.
LOOSE = ("reassoc", "contract", "nsz")
VECTOR, MATRIX, INTEGERS = array_kind("float64", 1), array_kind("float64", 2), array_kind("int32", 1)
# LAPACK recommends as many columns of workspace as it takes at once: 64, or fewer.
COLUMNS_AT_ONCE = 64


class Matrix(NamedTuple):
    """A matrix as BLAS reads it."""

    data: ir.Value
    by_rows: ir.Value  # whether memory runs along the rows; otherwise it runs along the columns
    stride: ir.Value  # distance of two rows (or columns) in values


def call_routine(emitter: Emitter, name: str, *arguments: ir.Value | str | float) -> ir.Value | None:
    """Call a routine through its slot with arguments of the kinds that `routines` tells; returns a final status."""
    builder, kinds = emitter.builder, (BLAS | LAPACK)[name]
    pointers = [_by_address(emitter, *pair) for pair in zip(kinds, arguments, strict=False)]
    status = None
    if kinds.endswith("s"):
        status = cgutils.alloca_once_value(builder, INT32(0))
        pointers.append(builder.bitcast(status, _POINTER))
    symbol = SLOT_PREFIX + name
    slot = builder.module.globals.get(symbol) or cgutils.add_global_variable(builder.module, _POINTER, symbol)
    signature = ir.FunctionType(ir.VoidType(), [_POINTER] * len(pointers))
    builder.call(builder.bitcast(builder.load(slot), signature.as_pointer()), pointers)
    return builder.load(status) if status else None


def _by_address(emitter: Emitter, kind: str, value: ir.Value | str | float) -> ir.Value:
    """Address of one Fortran argument: the data of an array, or a stack slot that holds the scalar."""
    builder = emitter.builder
    if kind == "p":
        return builder.bitcast(value, _POINTER)
    if kind == "c":
        value = BYTE(ord(value)) if isinstance(value, str) else value
    elif kind in "df":
        value = (DOUBLE if kind == "d" else SINGLE)(value)
    else:
        value = _in_32_bits(emitter, value)
    return builder.bitcast(cgutils.alloca_once_value(builder, value), _POINTER)


def _in_32_bits(emitter: Emitter, length: ir.Value) -> ir.Value:
    short = emitter.builder.trunc(length, INT32)
    is_longer = emitter.builder.icmp_signed("!=", emitter.builder.sext(short, WORD), length)
    emitter.fail_if(is_longer, OverflowError, "linear algebra: BLAS takes lengths of 32 bits, and a matrix is larger")
    return short


def letter(emitter: Emitter, condition: ir.Value, yes: str, no: str) -> ir.Value:
    """One of two characters of Fortran."""
    return emitter.builder.select(condition, BYTE(ord(yes)), BYTE(ord(no)))


def at_least_one(emitter: Emitter, length: ir.Value) -> ir.Value:
    """Leading dimensions are positive, of empty matrices too."""
    return emitter.builder.select(emitter.builder.icmp_signed("<", length, ONE), ONE, length)


def row_stride(emitter: Emitter, view: View) -> ir.Value:
    """Distance of two rows in values if BLAS can read the matrix as row-major in place, else 0."""
    builder, (rows, columns) = emitter.builder, view.shape
    item = WORD(itemsize(emitter, view.kind))
    least = at_least_one(emitter, columns)
    if view.kind.layout == "C":
        return least
    # NumPy gives an axis of length 1 any stride, so such a stride says nothing.
    is_dense = builder.icmp_signed("==", view.strides[1], item)
    is_dense = builder.or_(is_dense, builder.icmp_signed("<=", columns, ONE))
    stride = builder.sdiv(view.strides[0], item)
    fits = builder.icmp_signed("==", builder.mul(stride, item), view.strides[0])
    fits = builder.and_(fits, builder.icmp_signed(">=", stride, least))
    stride = builder.select(fits, stride, ZERO)
    stride = builder.select(builder.icmp_signed("<=", rows, ONE), least, stride)
    return builder.select(is_dense, stride, ZERO)


def transposed(view: View) -> View:
    """The same matrix with rows and columns exchanged."""
    layout = {"C": "F", "F": "C"}.get(view.kind.layout, "A")
    return View(view.kind.copy(layout=layout), view.data, view.shape[::-1], view.strides[::-1])


@contextmanager
def readable(emitter: Emitter, view: View) -> Iterator[Matrix]:
    """The matrix as BLAS can read it, within the block; a copy where neither of its axes has stride 1."""
    builder = emitter.builder
    if view.kind.layout in ("C", "F"):
        by_rows = view.kind.layout == "C"
        yield Matrix(view.data, BIT(by_rows), row_stride(emitter, view if by_rows else transposed(view)))
        return
    along_rows, along_columns = row_stride(emitter, view), row_stride(emitter, transposed(view))
    by_columns = builder.and_(_is_zero(builder, along_rows), builder.not_(_is_zero(builder, along_columns)))
    needs_copy = _is_zero(builder, builder.or_(along_rows, along_columns))
    kind = view.kind.copy(layout="C")
    struct = emitter.context.get_value_type(kind)
    owner, data = cgutils.alloca_once(builder, struct), cgutils.alloca_once_value(builder, view.data)
    builder.store(ir.Constant(struct, None), owner)
    with builder.if_then(needs_copy, likely=False):
        value, copied = copy(emitter, view, kind)
        builder.store(value, owner)
        builder.store(copied.data, data)
    stride = builder.select(by_columns, along_columns, along_rows)
    stride = builder.select(needs_copy, at_least_one(emitter, view.shape[1]), stride)
    yield Matrix(builder.load(data), builder.not_(by_columns), stride)
    emitter.context.nrt.decref(builder, kind, builder.load(owner))


def _is_zero(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    return builder.icmp_signed("==", value, ZERO)


@contextmanager
def scratch(emitter: Emitter, kind: types.Array, shape: Sequence[ir.Value]) -> Iterator[View]:
    """An array that lives within the block."""
    value, view = new_array(emitter._replace(stays=(False,)), kind, shape)
    yield view
    emitter.context.nrt.decref(emitter.builder, kind, value)


def copy_into(emitter: Emitter, source: View, target: View) -> None:
    """Copy a vector or matrix over a new one of the same shape."""
    with nest(emitter, target.shape) as indices:
        store(emitter, target, indices, load(emitter, source, indices))


def fill_with(emitter: Emitter, view: View, number: float) -> None:
    """Write one number everywhere."""
    with nest(emitter, view.shape) as indices:
        store(emitter, view, indices, DOUBLE(number))


def nan_if_failed(emitter: Emitter, status: ir.Value, result: View) -> None:
    """Fill a result with NaN where a routine of LAPACK has failed, by its final status."""
    with emitter.builder.if_then(has_failed(emitter, status), likely=False):
        fill_with(emitter, result, math.nan)


def has_failed(emitter: Emitter, status: ir.Value) -> ir.Value:
    """Whether a routine of LAPACK has failed, by its final status."""
    return emitter.builder.icmp_signed("!=", status, INT32(0))


@contextmanager
def nan_where(emitter: Emitter, condition: ir.Value, *results: View) -> Iterator[None]:
    """Fill results with NaN where a condition holds; what is written within the block is done elsewhere."""
    with emitter.builder.if_else(condition, likely=False) as (failed, regular):
        with failed:
            for result in results:
                fill_with(emitter, result, math.nan)
        with regular:
            yield


def check_square(emitter: Emitter, view: View) -> None:
    """Leave with ValueError if a matrix is not square."""
    differs = emitter.builder.icmp_unsigned("!=", *view.shape)
    emitter.fail_if(differs, ValueError, "linear algebra: the matrix is not square")


def check_system(emitter: Emitter, matrix: View, b: View) -> None:
    """Leave with ValueError if a matrix and a right-hand side do not make a system."""
    check_square(emitter, matrix)
    differs = emitter.builder.icmp_unsigned("!=", matrix.shape[0], b.shape[0])
    message = "linear algebra: the matrix and the right-hand side have different numbers of rows"
    emitter.fail_if(differs, ValueError, message)
