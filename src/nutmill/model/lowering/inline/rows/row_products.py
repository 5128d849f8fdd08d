"""Products of a tile of rows with vectors, in vector registers: the rows lie in the cache, and are read once for each.

No routine of BLAS is called: its threads would be awake for a few microseconds, and sums would depend on their number.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from llvmlite import ir
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import WORD, ZERO, Emitter, View, itemsize, load, pointer, store
from nutmill.model.lowering.inline.filling import copy
from nutmill.model.lowering.inline.linear_algebra.matrices import LOOSE, transposed
from nutmill.model.lowering.inline.linear_algebra.products import check_product, matrix_vector_product
from nutmill.model.lowering.inline.loops import nest

_REGISTER = 64  # bytes; of processors with smaller ones, LLVM takes several
_TOGETHER = 8  # rows that share what is loaded of the vector
_INT = ir.IntType(32)


def check_sums(emitter: Emitter, matrix: View, vector: View) -> None:
    """Leave with ValueError if there is not one number for each row."""
    check_product(emitter, transposed(matrix), vector)


def rows_times_vector(emitter: Emitter, operands: Sequence[View], results: Sequence[View]) -> None:
    """Write ``out = matrix @ vector``."""
    (matrix, vector), (out,) = operands, results
    if matrix.kind.layout != "C":
        matrix_vector_product(emitter, operands, results)
        return
    with _dense(emitter, vector) as dense:
        for rows in _row_blocks(emitter, matrix.shape[0]):
            _store(emitter, pointer(emitter, out, [rows[0]]), _inner_products(emitter, matrix, dense, rows))


def vector_times_rows(emitter: Emitter, operands: Sequence[View], results: Sequence[View]) -> None:
    """Write ``out = vector @ matrix``."""
    (matrix, vector), (out,) = operands, results
    if matrix.kind.layout != "C":
        matrix_vector_product(emitter, [transposed(matrix), vector], results)
        return
    zero = emitter.context.get_constant(out.kind.dtype, 0.0)
    with nest(emitter, out.shape) as indices:
        store(emitter, out, indices, zero)
    for rows in _row_blocks(emitter, matrix.shape[0]):
        factors = [load(emitter, vector, [row]) for row in rows]
        _add_rows(emitter, matrix, out, list(zip(rows, factors, strict=True)))


@contextmanager
def _dense(emitter: Emitter, vector: View) -> Iterator[View]:
    """The vector with its numbers side by side, a copy if they are not."""
    if vector.kind.layout == "C":
        yield vector
        return
    kind = vector.kind.copy(layout="C")
    value, copied = copy(emitter._replace(stays=(False,)), vector, kind)
    yield copied
    emitter.context.nrt.decref(emitter.builder, kind, value)


def _row_blocks(emitter: Emitter, n_rows: ir.Value) -> Iterator[list[ir.Value]]:
    """Loops over rows, written one after the other: over some at once, and over the rest one by one."""
    builder = emitter.builder
    rest = builder.urem(n_rows, WORD(_TOGETHER))
    many = builder.sub(n_rows, rest)
    for width, begin, end in ((_TOGETHER, ZERO, many), (1, many, n_rows)):
        with cgutils.for_range_slice(builder, begin, end, WORD(width)) as (first, _):
            yield [builder.add(first, WORD(i)) for i in range(width)]


def _columns(emitter: Emitter, matrix: View, write: Callable[[ir.Value, int], None]) -> None:
    """Call `write` with the first column and the number of columns that it is to do: full registers, then less."""
    builder, n_columns = emitter.builder, matrix.shape[1]
    lanes = _lanes(emitter, matrix)
    done = builder.and_(n_columns, WORD(-lanes))
    with cgutils.for_range_slice(builder, ZERO, done, WORD(lanes)) as (first, _):
        write(first, lanes)
    width = lanes // 2
    while width:
        is_left = builder.icmp_unsigned("!=", builder.and_(n_columns, WORD(width)), ZERO)
        with builder.if_then(is_left):
            write(builder.and_(n_columns, WORD(-2 * width)), width)
        width //= 2


def _lanes(emitter: Emitter, view: View) -> int:
    return _REGISTER // itemsize(emitter, view.kind)


def _inner_products(emitter: Emitter, matrix: View, vector: View, rows: Sequence[ir.Value]) -> ir.Value:
    """Products of some rows with a vector, in a register."""
    builder, lanes = emitter.builder, _lanes(emitter, matrix)
    number = emitter.context.get_value_type(matrix.kind.dtype)
    register = ir.VectorType(number, lanes)
    totals = [cgutils.alloca_once(builder, register) for _ in rows]
    for total in totals:
        builder.store(ir.Constant(register, None), total)

    def take(first: ir.Value, width: int) -> None:
        factor = _load(emitter, pointer(emitter, vector, [first]), width)
        for row, total in zip(rows, totals, strict=True):
            given = _load(emitter, pointer(emitter, matrix, [row, first]), width)
            product = _widened(builder, builder.fmul(given, factor, flags=LOOSE), lanes)
            builder.store(builder.fadd(builder.load(total), product, flags=LOOSE), total)

    _columns(emitter, matrix, take)
    return _sum_of_each(builder, [builder.load(total) for total in totals])


def _add_rows(emitter: Emitter, matrix: View, out: View, terms: Sequence[tuple[ir.Value, ir.Value]]) -> None:
    """Add to a vector some rows, each times a number."""
    builder = emitter.builder

    def take(first: ir.Value, width: int) -> None:
        place = pointer(emitter, out, [first])
        sums = [
            builder.fmul(
                _load(emitter, pointer(emitter, matrix, [row, first]), width),
                _repeated(builder, factor, width),
                flags=LOOSE,
            )
            for row, factor in terms
        ]
        while len(sums) > 1:  # in pairs, so that little waits for what is before it
            sums = [builder.fadd(one, other, flags=LOOSE) for one, other in zip(sums[::2], sums[1::2], strict=True)]
        _store(emitter, place, builder.fadd(_load(emitter, place, width), sums[0], flags=LOOSE))

    _columns(emitter, matrix, take)


def _load(emitter: Emitter, place: ir.Value, width: int) -> ir.Value:
    """So many numbers side by side."""
    builder = emitter.builder
    number = place.type.pointee
    register = ir.VectorType(number, width).as_pointer()
    return builder.load(builder.bitcast(place, register), align=emitter.context.get_abi_sizeof(number))


def _store(emitter: Emitter, place: ir.Value, vector: ir.Value) -> None:
    """Write numbers side by side."""
    builder = emitter.builder
    size = emitter.context.get_abi_sizeof(place.type.pointee)
    builder.store(vector, builder.bitcast(place, vector.type.as_pointer()), align=size)


def _repeated(builder: ir.IRBuilder, number: ir.Value, width: int) -> ir.Value:
    register = ir.VectorType(number.type, width)
    first = builder.insert_element(ir.Constant(register, ir.Undefined), number, _INT(0))
    return builder.shuffle_vector(first, ir.Constant(register, ir.Undefined), _mask([0] * width))


def _widened(builder: ir.IRBuilder, vector: ir.Value, lanes: int) -> ir.Value:
    """The same numbers, and zeros."""
    width = vector.type.count
    if width == lanes:
        return vector
    zero = ir.Constant(vector.type, None)
    return builder.shuffle_vector(vector, zero, _mask([min(lane, width) for lane in range(lanes)]))


def _sum_of_each(builder: ir.IRBuilder, vectors: Sequence[ir.Value]) -> ir.Value:
    """Sums of the numbers in each of some registers, side by side; there are 1, 2, 4, ... registers."""
    count, parts = len(vectors), list(vectors)
    lanes = parts[0].type.count
    while lanes > 1:
        # Each register has the numbers of some vectors, one after the other; halves of these are added.
        half = lanes // 2
        if len(parts) > 1:
            parts = [_halves(builder, pair, lanes, half) for pair in zip(parts[::2], parts[1::2], strict=True)]
        else:
            nothing = ir.Constant(parts[0].type, ir.Undefined)
            parts = [_halves(builder, (parts[0], nothing), lanes, half, count)]
        lanes = half
    return parts[0]


def _halves(
    builder: ir.IRBuilder, pair: tuple[ir.Value, ir.Value], lanes: int, half: int, n_vectors: int | None = None
) -> ir.Value:
    """Add the first and the second half of the numbers of each vector, of two registers or of those of one."""
    n_vectors = n_vectors or 2 * pair[0].type.count // lanes
    first = [vector * lanes + lane for vector in range(n_vectors) for lane in range(half)]
    low, high = (builder.shuffle_vector(*pair, _mask([place + off for place in first])) for off in (0, half))
    return builder.fadd(low, high, flags=LOOSE)


def _mask(lanes: Sequence[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(_INT, len(lanes)), lanes)
