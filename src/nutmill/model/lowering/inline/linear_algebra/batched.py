"""Lean linear algebra in place: one operation of the `blas` room, or one for each item of stacks that broadcast."""

from collections.abc import Callable, Sequence
from functools import partial

from llvmlite import ir
from numba import types
from pytensor.graph.basic import Apply
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_and_cache_key

from nutmill.model.lowering.inline.arrays import ZERO, Emitter, Value, View, array_kind, new_array, smaller, view_of
from nutmill.model.lowering.inline.linear_algebra import (
    bands,
    covariances,
    exponential,
    factors,
    lu,
    products,
    spectral,
)
from nutmill.model.lowering.inline.linear_algebra.matrices import check_square, check_system
from nutmill.model.lowering.inline.loops import Axes, at, common_shape, nest, short_lengths
from nutmill.model.lowering.inline.operation import Operation, one_or_several
from nutmill.model.lowering.inline.own_functions import call_own
from nutmill.model.lowering.inline.rows import row_products
from nutmill.model.lowering.inline.steps import Program, Step, program_function
from nutmill.model.lowering.inline.views import item
from nutmill.model.rewriting.blas import ops

_MISFIT = "batched operation: the operands have different numbers of items"

# For each op: who checks the shapes of single operands, and who writes the operation on them.
_WRITERS: dict[type[ops.LeanOp], tuple[Callable, Callable]] = {
    ops.LeanDot: (products.check_product, products.matrix_product),
    ops.LeanMatrixVector: (products.check_product, products.matrix_vector_product),
    ops.TileProduct: (products.check_product, row_products.rows_times_vector),
    ops.TileSums: (row_products.check_sums, row_products.vector_times_rows),
    ops.LeanCholesky: (check_square, factors.cholesky),
    ops.LeanSolveTriangular: (check_system, factors.solve_triangular),
    ops.LeanCholeskySolve: (check_system, factors.cholesky_solve),
    ops.LeanCovarianceGradient: (covariances.check_gradient, covariances.covariance_gradient),
    ops.LeanSolve: (check_system, lu.solve),
    ops.LeanTridiagonalSolve: (check_system, bands.solve_tridiagonal),
    ops.LeanInverse: (check_square, lu.inverse),
    ops.LeanLogDeterminant: (check_square, lu.log_determinant),
    ops.LeanGram: (spectral.check_nothing, spectral.gram),
    ops.LeanEigh: (check_square, spectral.eigh),
    ops.LeanExponential: (check_square, exponential.exponential),
    ops.LeanQR: (spectral.check_nothing, spectral.qr),
}

_IN_TILES = (ops.TileProduct, ops.TileSums)  # parts of a loop over rows, which LLVM optimises as one


def lean(node: Apply) -> Operation:
    """Write a node of a `LeanOp`."""
    check, _ = _WRITERS[type(node.op)]
    n_batch = node.op.batch_axes(node.inputs)
    broadcasts = [v.type.broadcastable[:n_batch] for v in node.inputs]
    kinds_out = [array_kind(v.type.dtype, v.type.ndim) for v in node.outputs]
    result_kind = kinds_out[0] if len(kinds_out) == 1 else types.Tuple(kinds_out)

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        given_views = zip(node.inputs, map(partial(view_of, emitter), kinds, values), strict=True)
        operands = [_with_known_lengths(emitter, view, v.type.shape) for v, view in given_views]
        batch = _batch(emitter, operands, broadcasts)
        check(emitter, *(item(emitter, view, [ZERO] * n_batch) for view in operands))
        cores = node.op.core_shapes(*(view.shape[n_batch:] for view in operands), least=partial(smaller, emitter))
        made = [
            new_array(emitter, kind, [*batch, *core], number)
            for number, (kind, core) in enumerate(zip(kinds_out, cores, strict=True))
        ]
        views = [view for _, view in made]
        if emitter.scratch or isinstance(node.op, _IN_TILES) or any(_is_short(view, n_batch) for view in operands):
            _write_items(node, broadcasts, emitter, operands, views)
        else:
            results = [Value(kind, value) for kind, (value, _) in zip(kinds_out, made, strict=True)]
            _call_items(node, broadcasts, emitter, list(map(Value, kinds, values)), results)
        return one_or_several([value for value, _ in made])

    return Operation(lambda operands: result_kind, emit)


def _is_short(view: View, n_batch: int) -> bool:
    """Whether a length of a matrix is a short constant of the code: LLVM then unrolls its loops, each in its place."""
    return any(isinstance(length, ir.Constant) for length in view.shape[n_batch:])


def _write_items(
    node: Apply, broadcasts: Sequence[Sequence[bool]], emitter: Emitter, operands: Sequence[View], made: Sequence[View]
) -> None:
    """Write the operation on all items, into arrays that are there."""
    _, write = _WRITERS[type(node.op)]
    batch = made[0].shape[: len(broadcasts[0])]
    with nest(emitter, batch) as indices:
        places = [at(Axes(view, own), indices) for view, own in zip(operands, broadcasts, strict=True)]
        items = [item(emitter, view, place) for view, place in zip(operands, places, strict=True)]
        write(emitter, items, [item(emitter, view, indices) for view in made], *node.op.props)


def _call_items(
    node: Apply,
    broadcasts: Sequence[Sequence[bool]],
    emitter: Emitter,
    operands: Sequence[Value],
    made: Sequence[Value],
) -> None:
    """Call the function that does what `_write_items` writes: models with covariances have the same several times."""
    given = [*operands, *made]

    def write(inside: Emitter, values: Sequence[ir.Value]) -> None:
        views = [view_of(inside, each.kind, value) for each, value in zip(given, values, strict=True)]
        _write_items(node, broadcasts, inside, views[: len(operands)], views[len(operands) :])
        inside.context.call_conv.return_value(inside.builder, ZERO)

    what = repr((type(node.op).__name__, node.op.props, broadcasts))
    call_own(emitter, what, types.int64, given, write)


def _with_known_lengths(emitter: Emitter, view: View, static: Sequence[int | None]) -> View:
    """The same array, with short lengths that its type tells as constants: products of these are loops of their own."""
    return view._replace(shape=short_lengths(emitter, view.shape, static))


def _batch(emitter: Emitter, operands: Sequence[View], broadcasts: Sequence[Sequence[bool]]) -> list[ir.Value]:
    """Lengths of the batch axes."""
    return common_shape(emitter, [Axes(view, own) for view, own in zip(operands, broadcasts, strict=True)], _MISFIT)


@register_funcify_and_cache_key(ops.LeanOp)
def _funcify(op, node, **_):
    """Numba's form of an op alone, for PyTensor's own functions."""
    leave = [False] * len(node.outputs)
    step = Step(lean(node), node.inputs, node.outputs, stays=leave, is_shown=True, numbers=[], finished=[])
    write = program_function(Program(node.inputs, [step], node.outputs))
    if len(node.outputs) == 1:
        return numba_njit(lambda *operands: write(*operands)[0]), None
    return numba_njit(lambda *operands: write(*operands)), None
