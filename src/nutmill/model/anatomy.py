"""Counts the operations of a model's log density and gradient: as PyTensor has them, and as they are compiled."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from pytensor.graph.basic import Apply
from pytensor.graph.traversal import apply_ancestors
from pytensor.tensor.basic import MakeVector, ScalarFromTensor, TensorFromScalar
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import Subtensor

from nutmill.model.build import density_outputs
from nutmill.model.compile_order import COMPILING
from nutmill.model.graphs.arithmetic import Arithmetic
from nutmill.model.graphs.graph import ModelGraph
from nutmill.model.graphs.start import without_c
from nutmill.model.rewriting.fusion import FusedLoop
from nutmill.model.rewriting.rewrite import rewrite

# They compute nothing worth a word.
VIEWS = "views and lengths"
_FREE = (DimShuffle, MakeVector, Reshape, ScalarFromTensor, Shape, Shape_i, SpecifyShape, Subtensor, TensorFromScalar)


class Operations(NamedTuple):
    """How many operations there are of each kind."""

    before: dict[str, int]  # of density and gradient, before anything is rewritten
    after: dict[str, int]  # of what runs in every gradient
    hoisted: int  # arrays and lengths that are computed once, when data is bound

    @property
    def computing(self) -> int:
        """How many of those in every gradient compute something, and are not views."""
        return sum(count for kind, count in self.after.items() if kind != VIEWS)


def operations(graph: ModelGraph) -> Operations | None:
    """Count the operations of a model; None if its density is native code of the user's."""
    if graph.logp is None:
        return None
    parameters, arrays = ([each.variable for each in group] for group in (graph.parameters, graph.arrays))
    parameters += [site.centredness for site in graph.sites]
    with COMPILING, without_c():
        outputs = density_outputs(graph)
        density = rewrite(parameters, arrays, outputs, hoist=True, arithmetic=Arithmetic(arrays))
    n_once = len(set(density.inputs) - {*parameters, *arrays})
    before = apply_ancestors(outputs)
    return Operations(_counted(before), _counted(density.fgraph.toposort()), n_once)


def _counted(nodes: Iterable[Apply]) -> dict[str, int]:
    counts = Counter(_kind(node) for node in nodes)
    return dict(counts.most_common())


def _kind(node: Apply) -> str:
    """Name an operation as people know it: elementwise ones are loops, others have the name of their class."""
    op = node.op
    if isinstance(op, FusedLoop):
        return "fused loop"
    if isinstance(op, Elemwise):
        return "loop"
    if isinstance(op, CAReduce):
        return "reduction"
    return VIEWS if isinstance(op, _FREE) else type(op).__name__
