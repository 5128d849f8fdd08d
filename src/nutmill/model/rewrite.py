"""PyTensor's rewrites in Numba mode, with ours among them, and what depends on data alone taken out."""

from collections.abc import Sequence
from typing import NamedTuple

from pytensor.compile import Supervisor
from pytensor.compile.mode import Mode, get_mode
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.basic import GraphRewriter, graph_rewriter
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.tensor.basic import Alloc, AllocDiag, ScalarFromTensor, TensorFromScalar
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import Subtensor
from pytensor.tensor.type import TensorType

from nutmill.model.blas import lean_rewriter
from nutmill.model.compat import WRONG_DETERMINANTS
from nutmill.model.fusion import fuse_loops
from nutmill.model.inner_graphs import expand_graphs
from nutmill.model.logits import without_probabilities
from nutmill.model.scalars import branch_free_rewriter
from nutmill.model.softmax import softmax_rewriter

# Free to compute, or bigger than what they are made of: reading the result would cost more than making it.
_CHEAP = (
    DimShuffle,
    Reshape,
    Subtensor,
    Shape,
    Shape_i,
    SpecifyShape,
    Alloc,
    ScalarFromTensor,
    TensorFromScalar,
)

# After uncanonicalisation, before PyTensor fuses elementwise operations (48) and works in place (49.5 and later).
_HOIST, _EXPAND, _SOFTMAX, _BRANCH_FREE, _LEAN = 47.0, 47.05, 47.07, 47.1, 47.2
_FUSE = 101.0  # after all that work in place

_FUSE_INDEXED, _EXPAND_DIAGONALS = "fuse_indexed_into_elemwise", "late_inline_OpFromGraph"
# Solves with one matrix would share LU factors that are no lean ops.
_SHARED_FACTORS = "reuse_decomposition_multiple_solves"


class Rewritten(NamedTuple):
    """A graph ready for Numba, and the data-only graphs that were taken out of it."""

    fgraph: FunctionGraph  # inputs: those given, then one for each hoisted graph
    hoisted: list[Variable]  # in terms of the inputs given


def simplify(output: Variable) -> Variable:
    """Canonicalise and stabilise a log density, so that gradients are taken of the stable, smaller form."""
    stable = rewrite_graph(output, include=("canonicalize", "stabilize"), exclude=(WRONG_DETERMINANTS,), clone=False)
    return without_probabilities(stable)


def rewrite(
    parameters: Sequence[Variable],
    arrays: Sequence[Variable],
    outputs: Sequence[Variable],
    *,
    hoist: bool,
    ours: bool = True,
) -> Rewritten:
    """Bring a graph into the form that Numba compiles; with `hoist`, take out what depends on data alone.

    Without `ours` there is no operation in it but PyTensor's.
    """
    fgraph = FunctionGraph([*parameters, *arrays], list(outputs), clone=True)
    hoister = Hoist(fgraph, parameters, arrays, active=hoist)
    of_ours = (
        (_expand_graphs, _EXPAND),
        (softmax_rewriter(), _SOFTMAX),
        (branch_free_rewriter(), _BRANCH_FREE),
        (lean_rewriter(), _LEAN),
        (fuse_loops, _FUSE),
    )
    mode = _mode(ours=ours).register((hoister, _HOIST), *(of_ours if ours else ()))
    mode.optimizer.rewrite(fgraph)
    if not hoister.applied:  # PyTensor logs a failing rewrite and goes on
        raise RuntimeError("nutmill could not separate data from parameters in this graph; please report the model.")
    return Rewritten(fgraph, hoister.hoisted)


def _mode(*, ours: bool) -> Mode:
    """Numba's rewrites, and PyMC's rule that a parameter outside its range has density zero.

    With rewrites of ours there is no need of PyTensor 3's own fusion, in the place of which `fuse_loops` stands, and of
    what `_expand_graphs` does.
    """
    mode = get_mode("NUMBA")
    query = mode.provided_optimizer.including("local_check_parameter_to_ninf_switch")
    replaced = (_FUSE_INDEXED, _EXPAND_DIAGONALS, _SHARED_FACTORS) if ours else ()
    query = query.excluding(WRONG_DETERMINANTS, *replaced)
    return Mode(linker=mode.linker, optimizer=query)


@graph_rewriter
def _expand_graphs(fgraph: FunctionGraph) -> None:
    """Expand graphs within the graph: their gradients have been taken. A diagonal matrix has a lean form of its own."""
    expand_graphs(fgraph, keep=(AllocDiag,))


class Hoist(GraphRewriter):
    """Replace the largest sub-graphs that depend on data alone by inputs.

    PyTensor runs a mode's rewrites on inner graphs too; this one is for `target` alone.
    """

    def __init__(
        self,
        target: FunctionGraph,
        parameters: Sequence[Variable],
        arrays: Sequence[Variable],
        *,
        active: bool,
    ):
        self.target = target
        self.parameters = list(parameters)
        self.arrays = list(arrays)
        self.active = active
        self.applied = False
        self.hoisted: list[Variable] = []

    def apply(self, fgraph: FunctionGraph) -> None:
        """Add one input for each hoisted sub-graph; copies of the sub-graphs stay behind in `hoisted`."""
        if fgraph is not self.target:
            return
        originals = dict(zip(fgraph.inputs, [*self.parameters, *self.arrays], strict=True))
        frontier = list(dict.fromkeys(self._frontier(fgraph))) if self.active else []
        self.hoisted = clone_replace(frontier, originals) if frontier else []
        for variable in frontier:
            replacement = variable.type()
            fgraph.add_input(replacement)
            fgraph.replace(variable, replacement, reason="hoist")
        # From here on no rewrite may work in place on what the caller owns.
        fgraph.attach_feature(Supervisor(fgraph.inputs))
        self.applied = True

    def _frontier(self, fgraph: FunctionGraph):
        data_only = set(fgraph.inputs[len(self.parameters) :])
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
            if _is_cheap(variable.owner, variable):
                stack.extend(v for v in variable.owner.inputs if v in data_only)
            else:
                yield variable


def _is_cheap(node: Apply, variable: Variable) -> bool:
    is_length = variable.type.ndim == 0 and variable.type.dtype.startswith("int") if _is_tensor(variable) else True
    return isinstance(node.op, _CHEAP) or is_length


def _is_tensor(variable: Variable) -> bool:
    return isinstance(variable.type, TensorType)
