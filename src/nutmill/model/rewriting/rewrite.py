"""PyTensor's rewrites in Numba mode with ours among them: which there are, and in which order they run.

Each has a number. Of PyTensor's own, 1 canonicalises, 1.6 cuts loops to what is read of them, 2 specialises, 3 brings
forms back that are computed at once, 48 and 49 fuse elementwise operations, and from 49.5 on operations work in place.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

import pytensor
from pytensor.compile.mode import Mode, get_mode, optdb
from pytensor.graph.basic import Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import GraphRewriter, graph_rewriter
from pytensor.graph.rewriting.db import RewriteDatabase
from pytensor.scan.op import Scan
from pytensor.tensor.basic import AllocDiag

from nutmill.errors import ModelError
from nutmill.model.compat import FUSES_ROWS, STEPS_HAVE_MODES, WRONG_REWRITES, thawed
from nutmill.model.graphs.arithmetic import Arithmetic
from nutmill.model.graphs.inner_graphs import expand_graphs
from nutmill.model.rewriting.blas.lean import lean_rewriter
from nutmill.model.rewriting.branchfree_rewrites import branch_free_rewriter
from nutmill.model.rewriting.convolution import convolution_rewriter
from nutmill.model.rewriting.fusion import WideFusion, fuse_loops
from nutmill.model.rewriting.hoisting import hoist_data, protect_inputs
from nutmill.model.rewriting.one_triangle import loop_over_triangles
from nutmill.model.rewriting.rows.arranged_inputs import ArrangedInput, ArrangedInputs
from nutmill.model.rewriting.rows.by_group import group_rows
from nutmill.model.rewriting.rows.choices import choose_by_sums
from nutmill.model.rewriting.rows.columns import compute_by_columns
from nutmill.model.rewriting.rows.distinct_values import compute_distinct
from nutmill.model.rewriting.rows.narrow_products import lay_by_columns, multiply_by_columns
from nutmill.model.rewriting.rows.scatters import share_sums
from nutmill.model.rewriting.rows.tiles import tile_rows
from nutmill.model.rewriting.slices import take_slices_first
from nutmill.model.rewriting.softmax import softmax_rewriter
from nutmill.model.rewriting.stable import right_roots
from nutmill.model.rewriting.translations import after_gradients

# For what there is something else here: `fuse_loops`, `_expand_graphs`, lean ops, which share no LU factors.
_REPLACED = (*FUSES_ROWS, "late_inline_OpFromGraph", "reuse_decomposition_multiple_solves")
_DENSITY_ZERO = "local_check_parameter_to_ninf_switch"  # PyMC's: outside its range a parameter has density zero


class Rewritten(NamedTuple):
    """A graph ready for Numba, and the data-only graphs that were taken out of it."""

    fgraph: FunctionGraph
    inputs: list[Variable]  # of the graph: those given, then of those below what it reads, in an order of its own
    hoisted: dict[Variable, Variable]  # input -> what it is in terms of the inputs given
    arranged: Mapping[Variable, ArrangedInput]  # input -> what of the inputs given, or of those hoisted, it is made of


def rewrite(
    parameters: Sequence[Variable],
    arrays: Sequence[Variable],
    outputs: Sequence[Variable],
    *,
    hoist: bool,
    arithmetic: Arithmetic | None = None,
    ours: bool = True,
) -> Rewritten:
    """Bring a graph into the form that Numba compiles; with `hoist`, take out what depends on data alone.

    With `arithmetic`, that on lengths is taken out into it. Without `ours` there is no operation in it but PyTensor's.
    """
    fgraph = FunctionGraph([*parameters, *arrays], list(outputs), clone=True)
    given = dict(zip(fgraph.inputs, [*parameters, *arrays], strict=True))
    parting, arranged = _Parting(given, arithmetic, is_hoisting=hoist), ArrangedInputs()
    own = [*parting.rewrites, *(_of_rows(arranged, is_hoisting=hoist) if ours else ())]
    mode = (step_mode() if ours else _mode(ours=False)).register(
        *((_OfOneGraph(fgraph, len(parameters), function), position) for position, function in own)
    )
    mode.optimizer.rewrite(fgraph)
    if not parting.is_done:  # PyTensor logs a failing rewrite and goes on
        raise RuntimeError("nutmill could not separate data from parameters in this graph; please report the model.")
    if arithmetic is not None:
        _drop_unread(fgraph, len(parameters))
    inputs = [given.get(variable, variable) for variable in fgraph.inputs]
    return Rewritten(fgraph, inputs, parting.hoisted, arranged.originals(given))


def step_mode() -> Mode:
    """Make the mode of what is written by nutmill, steps of loops among it: our rewrites, and nothing taken out."""
    ours = (
        (0.995, after_gradients()),  # canonicalising sees the operations that others become
        # Between PyTensor's specialising, which knows its own operations alone, and its fusion.
        (46.9, choose_by_sums),  # before what depends on data alone is taken out
        (47.05, _expand_graphs),
        (47.06, right_roots),
        (47.07, softmax_rewriter()),
        (47.075, take_slices_first),
        (47.08, share_sums),
        (47.1, branch_free_rewriter()),
        (47.2, lean_rewriter()),
        (47.21, convolution_rewriter),
        (47.3, compute_by_columns),
        (47.4, WideFusion()),
        # After all that works in place.
        (101.0, fuse_loops),
        (101.5, loop_over_triangles),
    )
    return _mode(ours=True).register(*((rewriter, position) for position, rewriter in ours))


# Of a graph, and of those of its inputs that are data.
_Rewrite = Callable[[FunctionGraph, set[Variable]], object]


def _of_rows(arranged: ArrangedInputs, *, is_hoisting: bool) -> Iterator[tuple[float, _Rewrite]]:
    """Give the rewrites that know which inputs are data, each with its place among those of `step_mode`."""
    if is_hoisting:
        yield 47.25, multiply_by_columns  # products are lean operations, and tables are not yet computed by columns
        yield 47.35, partial(compute_distinct, arranged=arranged)
        yield 100.9, partial(group_rows, arranged=arranged)
        yield 100.95, partial(lay_by_columns, arranged=arranged)  # where groups did not lay columns already
    yield 102.0, tile_rows  # loops are fused


class _Parting:
    """Parts what depends on data alone, and arithmetic on lengths, from what depends on parameters."""

    def __init__(self, given: Mapping[Variable, Variable], arithmetic: Arithmetic | None, *, is_hoisting: bool):
        self._given, self._arithmetic, self._is_hoisting = given, arithmetic, is_hoisting
        self.hoisted: dict[Variable, Variable] = {}
        self.is_done = False

    @property
    def rewrites(self) -> Iterator[tuple[float, _Rewrite]]:
        """What it does, each with its place."""
        if self._arithmetic is not None:
            # Early, so that others have less to do: after canonicalising, and once loops are cut to what is read.
            yield 1.3, self._take_lengths
            yield 1.645, self._take_lengths
        yield 47.0, self._part

    def _take_lengths(self, fgraph: FunctionGraph, _data: set[Variable]) -> None:
        if self._arithmetic is not None:
            self._arithmetic.take_out(fgraph, self._given)

    def _part(self, fgraph: FunctionGraph, data: set[Variable]) -> None:
        n_before = len(fgraph.inputs)
        self._take_lengths(fgraph, data)
        if self._is_hoisting:
            self.hoisted = hoist_data(fgraph, data.union(fgraph.inputs[n_before:]), self._given)
        protect_inputs(fgraph)
        self.is_done = True


class _OfOneGraph(GraphRewriter):
    """A rewrite of `target` alone: PyTensor runs those of a mode on graphs within it, too, whose inputs are no data."""

    def __init__(self, target: FunctionGraph, n_parameters: int, function: _Rewrite):
        self._target, self._n_parameters, self._function = target, n_parameters, function

    def apply(self, fgraph: FunctionGraph) -> None:
        """Run it, with the inputs that come after the parameters as data."""
        if fgraph is self._target:
            self._function(fgraph, set(fgraph.inputs[self._n_parameters :]))


def step_graph(scan: Scan) -> FunctionGraph:
    """Give the step that a scan repeats in the form that is compiled.

    PyTensor 3 has rewritten it with the rest, and keeps its operations in an order in which what works in place comes
    last, which a copy would lose.
    """
    if not STEPS_HAVE_MODES:
        return scan.fgraph
    step = thawed(scan.fgraph)
    protect_inputs(step)
    step_mode().optimizer.rewrite(step)
    return step


def _drop_unread(fgraph: FunctionGraph, n_parameters: int) -> None:
    """Leave out data that nothing reads, such as lengths that an earlier rewrite asked for."""
    for number in reversed(range(n_parameters, len(fgraph.inputs))):
        if not fgraph.clients[fgraph.inputs[number]]:
            fgraph.remove_input(number)


def _mode(*, ours: bool) -> Mode:
    """Numba's rewrites and PyMC's, without those that give wrong numbers, and, with ours, without what these do."""
    mode = get_mode("NUMBA")
    excluded = (*WRONG_REWRITES, *(_REPLACED if ours else ()))
    _check_names(excluded)
    query = mode.provided_optimizer.including(_DENSITY_ZERO).excluding(*excluded)
    return Mode(linker=mode.linker, optimizer=query)


@cache
def _check_names(excluded: Sequence[str]) -> None:
    """Make sure of the names of what is excluded: PyTensor takes any without a word."""
    unknown = set(excluded) - set(_names_of_rewrites(optdb))
    if unknown:
        raise ModelError(
            f"PyTensor {pytensor.__version__} has no rewrites of the names {', '.join(sorted(unknown))}, which nutmill "
            "excludes by name: install a version of PyTensor that this version of nutmill was tested with."
        )


def _names_of_rewrites(database: RewriteDatabase) -> Iterator[str]:
    for name, entries in database.__db__.items():
        yield name
        for entry in entries:
            if isinstance(entry, RewriteDatabase) and name == entry.name:
                yield from _names_of_rewrites(entry)


@graph_rewriter
def _expand_graphs(fgraph: FunctionGraph) -> None:
    """Expand graphs within the graph: their gradients have been taken. A diagonal matrix has a lean form of its own."""
    expand_graphs(fgraph, keep=(AllocDiag,))
