"""PyTensor's rewrites in Numba mode, with ours among them, and what depends on data alone taken out."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import pytensor
from pytensor.compile import Supervisor
from pytensor.compile.mode import Mode, get_mode, optdb
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.basic import GraphRewriter, graph_rewriter
from pytensor.graph.rewriting.db import RewriteDatabase
from pytensor.scalar.basic import Sqr, Sub
from pytensor.scan.op import Scan
from pytensor.tensor.basic import Alloc, AllocDiag, AllocEmpty, MakeVector, ScalarFromTensor, TensorFromScalar
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import Subtensor
from pytensor.tensor.type import TensorType

from nutmill.errors import ModelError
from nutmill.model.compat import FUSES_ROWS, STEPS_HAVE_MODES, WRONG_REWRITES, thawed
from nutmill.model.graphs.arithmetic import Arithmetic
from nutmill.model.graphs.inner_graphs import expand_graphs
from nutmill.model.rewriting.blas.lean import lean_rewriter
from nutmill.model.rewriting.branchfree_rewrites import branch_free_rewriter
from nutmill.model.rewriting.convolution import convolution_rewriter
from nutmill.model.rewriting.fusion import WideFusion, fuse_loops
from nutmill.model.rewriting.one_triangle import loop_over_triangles
from nutmill.model.rewriting.rows.arranged_inputs import ArrangedInput, ArrangedInputs
from nutmill.model.rewriting.rows.by_group import GroupRows
from nutmill.model.rewriting.rows.choices import choose_by_sums
from nutmill.model.rewriting.rows.columns import compute_by_columns
from nutmill.model.rewriting.rows.distinct_values import ComputeDistinct
from nutmill.model.rewriting.rows.narrow_products import LayByColumns, MultiplyByColumns
from nutmill.model.rewriting.rows.scatters import share_sums
from nutmill.model.rewriting.rows.tiles import TileRows
from nutmill.model.rewriting.slices import take_slices_first
from nutmill.model.rewriting.softmax import softmax_rewriter
from nutmill.model.rewriting.stable import right_roots
from nutmill.model.rewriting.translations import after_gradients

# Free to compute, or bigger than what they are made of: reading the result would cost more than making it.
_CHEAP = (
    DimShuffle,
    Reshape,
    Subtensor,
    Shape,
    Shape_i,
    SpecifyShape,
    Alloc,
    AllocEmpty,
    ScalarFromTensor,
    TensorFromScalar,
)

_TRANSLATE = 1.0  # before canonicalisation, which sees the operations that others become
# So that later rewrites have less to do: after canonicalisation, and after loops are cut to what is read of them.
_LENGTHS = (1.3, 1.65)
# After uncanonicalisation, before PyTensor fuses elementwise operations (48) and works in place (49.5 and later).
_HOIST, _EXPAND, _ROOTS, _SOFTMAX, _SLICES, _SUMS, _BRANCH_FREE, _LEAN = (
    47.0,
    47.05,
    47.06,
    47.07,
    47.075,
    47.08,
    47.1,
    47.2,
)
_CHOICES, _NARROW, _COLUMNS, _DISTINCT, _WIDE = (
    46.9,
    47.25,
    47.3,
    47.35,
    47.4,
)  # choices before what depends on data alone is taken out
_GROUP, _LAY, _FUSE, _TRIANGLE, _TILES = 100.9, 100.95, 101.0, 101.5, 102.0  # after all that work in place

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
    hoister = Hoist(fgraph, given, parameters, arithmetic, active=hoist)
    of_lengths = [(TakeLengths(fgraph, given, arithmetic), position) for position in _LENGTHS if arithmetic]
    arranged = ArrangedInputs()
    own = [(TileRows(fgraph, len(parameters)), _TILES)] if ours else []
    if ours and hoist:
        own += [(MultiplyByColumns(fgraph, len(parameters)), _NARROW)]
        own += [(LayByColumns(fgraph, len(parameters), arranged), _LAY)]
        own += [(ComputeDistinct(fgraph, len(parameters), arranged), _DISTINCT)]
        own += [(GroupRows(fgraph, len(parameters), arranged), _GROUP)]
    mode = (step_mode() if ours else _mode(ours=False)).register((hoister, _HOIST), *of_lengths, *own)
    mode.optimizer.rewrite(fgraph)
    if not hoister.applied:  # PyTensor logs a failing rewrite and goes on
        raise RuntimeError("nutmill could not separate data from parameters in this graph; please report the model.")
    if arithmetic is not None:
        _drop_unread(fgraph, len(parameters))
    inputs = [given.get(variable, variable) for variable in fgraph.inputs]
    return Rewritten(fgraph, inputs, hoister.hoisted, arranged.originals(given))


def step_mode() -> Mode:
    """Make the mode of what is written by nutmill, steps of loops among it: our rewrites, and nothing taken out."""
    return _mode(ours=True).register(
        (after_gradients(), _TRANSLATE),
        (choose_by_sums, _CHOICES),
        (_expand_graphs, _EXPAND),
        (right_roots, _ROOTS),
        (softmax_rewriter(), _SOFTMAX),
        (take_slices_first, _SLICES),
        (share_sums, _SUMS),
        (branch_free_rewriter(), _BRANCH_FREE),
        (lean_rewriter(), _LEAN),
        (convolution_rewriter, _LEAN),
        (compute_by_columns, _COLUMNS),
        (WideFusion(), _WIDE),
        (fuse_loops, _FUSE),
        (loop_over_triangles, _TRIANGLE),
    )


def step_graph(scan: Scan) -> FunctionGraph:
    """Give the step that a scan repeats in the form that is compiled.

    PyTensor 3 has rewritten it with the rest, and keeps its operations in an order in which what works in place comes
    last, which a copy would lose.
    """
    if not STEPS_HAVE_MODES:
        return scan.fgraph
    step = thawed(scan.fgraph)
    step.attach_feature(Supervisor(step.inputs))
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


class TakeLengths(GraphRewriter):
    """Take arithmetic on lengths out of a graph.

    PyTensor runs a mode's rewrites on inner graphs too; this one, and that below, is for `target` alone.
    """

    def __init__(self, target: FunctionGraph, given: Mapping[Variable, Variable], arithmetic: Arithmetic):
        self.target = target
        self.given = given
        self.arithmetic = arithmetic

    def apply(self, fgraph: FunctionGraph) -> None:
        """Add one input for each length that something else reads."""
        if fgraph is self.target:
            self.arithmetic.take_out(fgraph, self.given)


class Hoist(GraphRewriter):
    """Replace the largest sub-graphs that depend on data alone by inputs, once arithmetic on lengths is taken out."""

    def __init__(
        self,
        target: FunctionGraph,
        given: Mapping[Variable, Variable],
        parameters: Sequence[Variable],
        arithmetic: Arithmetic | None,
        *,
        active: bool,
    ):
        self.target = target
        self.given = given
        self.n_parameters = len(parameters)
        self.arithmetic = arithmetic
        self.active = active
        self.applied = False
        self.hoisted: dict[Variable, Variable] = {}

    def apply(self, fgraph: FunctionGraph) -> None:
        """Add one input for each hoisted sub-graph; copies of the sub-graphs stay behind in `hoisted`."""
        if fgraph is not self.target:
            return
        if self.arithmetic is not None:
            self.arithmetic.take_out(fgraph, self.given)
        frontier = list(dict.fromkeys(self._frontier(fgraph))) if self.active else []
        copies = clone_replace(frontier, dict(self.given)) if frontier else []
        self.hoisted = {copy.type(): copy for copy in copies}
        for variable, replacement in zip(frontier, self.hoisted, strict=True):
            fgraph.add_input(replacement)
            fgraph.replace(variable, replacement, reason="hoist")
        # From here on no rewrite may work in place on what the caller owns.
        fgraph.attach_feature(Supervisor(fgraph.inputs))
        self.applied = True

    def _frontier(self, fgraph: FunctionGraph):
        data_only = set(fgraph.inputs[self.n_parameters :])
        for node in fgraph.toposort():
            known = [v for v in node.inputs if not isinstance(v, Constant)]
            if known and all(v in data_only for v in known):
                data_only.update(node.outputs)
        needed = [v for node in fgraph.toposort() if node.outputs[0] not in data_only for v in node.inputs]
        stack = [v for v in (*fgraph.outputs, *needed) if v in data_only]
        seen: set[Variable] = set()
        while stack:
            variable = stack.pop()
            if variable in seen or variable.owner is None:
                continue
            seen.add(variable)
            if _is_cheap(variable.owner, variable) or _grows_in_loops(fgraph, variable):
                stack.extend(v for v in variable.owner.inputs if v in data_only)
            else:
                yield variable


def _grows_in_loops(fgraph: FunctionGraph, variable: Variable) -> bool:
    """Whether these are differences of two smaller arrays, or their squares, that only loops read."""
    node = variable.owner
    if not isinstance(node.op, Elemwise) or not all(
        isinstance(client, Apply) and isinstance(client.op, Elemwise) for client, _ in fgraph.clients[variable]
    ):
        return False
    if isinstance(node.op.scalar_op, Sqr):
        (variable,) = node.inputs
        node = variable.owner
    if node is None or not isinstance(node.op, Elemwise) or not isinstance(node.op.scalar_op, Sub):
        return False
    whole = variable.type.broadcastable
    return all(v.type.broadcastable.count(True) > whole.count(True) for v in node.inputs)


def _is_cheap(node: Apply, variable: Variable) -> bool:
    lists_lengths = isinstance(node.op, MakeVector) and variable.type.dtype.startswith("int")
    return isinstance(node.op, _CHEAP) or lists_lengths or not isinstance(variable.type, TensorType)
