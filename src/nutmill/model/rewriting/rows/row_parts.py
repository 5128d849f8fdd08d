"""Finds the parts of a graph that go along the rows of matrices of data, and could be computed tile by tile."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field

from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.scalar import basic as scalar_ops
from pytensor.tensor.basic import MakeVector
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise

from nutmill.model.graphs.patterns import transposed_of
from nutmill.model.graphs.properties import is_known
from nutmill.model.rewriting.blas.ops import LeanMatrixVector
from nutmill.model.rewriting.fusion import FusedLoop, Reduced, has_reducer, is_numeric

_FLOATS = ("float64", "float32")


@dataclass
class RowPart:
    """A part that reads a matrix twice or more: in a product, and transposed in another that depends on the first."""

    # Nodes of these two kinds, with their matrices.
    products: dict[Apply, Variable] = field(default_factory=dict)
    sums: dict[Apply, Variable] = field(default_factory=dict)
    nodes: list[Apply] = field(default_factory=list)  # all nodes, in order
    # Results that are the truth of something in all rows, which later rows read.
    guesses: set[Variable] = field(default_factory=set)
    # What is made of guesses and of what does not go along the rows.
    derived: set[Variable] = field(default_factory=set)

    def reads_twice(self) -> bool:
        """Whether it is worth while."""
        return not set(self.products.values()).isdisjoint(self.sums.values())


def row_parts(fgraph: FunctionGraph, data: Set[Variable]) -> list[RowPart]:
    """Find the parts, each of which can be computed as one: nothing outside lies between two of its nodes.

    Parameters
    ----------
    fgraph : FunctionGraph
        Of lean operations and fused loops.
    data : set of Variable
        Inputs that are arrays of data; only their matrices count.
    """
    matrices = {v for v in data if v.type.ndim == 2 and v.type.dtype in _FLOATS and not any(v.type.broadcastable)}
    search = _PartSearch(matrices)
    order = fgraph.toposort()
    for node in order:
        search.take(node)
    return [part for part in search.parts(order) if part.reads_twice()]


def along_rows(node: Apply) -> Iterator[tuple[Variable, bool]]:
    """Operands of a loop or a reduction, and whether they have a value for each row."""
    indices = getattr(node.op, "indices", ())
    for number, variable in enumerate(node.inputs):
        is_table = number < len(indices) and indices[number] is not None
        yield variable, not is_table and variable.type.ndim == 1 and not variable.type.broadcastable[0]


class _PartSearch:
    """Takes nodes in order; what has values for the rows of one part belongs to a group, and groups may merge.

    Each group is named by a number. `_past` has, for a variable, the groups that must be complete before it is
    known, and for a group those that must be complete before it begins.
    """

    def __init__(self, matrices: set[Variable]):
        self._matrices = matrices
        self._parents: list[int] = []
        self._group: dict[Variable, int] = {}  # of variables with a value for each row
        self._past: dict[Variable, set[int]] = {}
        self._before: list[set[int]] = []
        self._guess: dict[Variable, int] = {}  # truths of all rows of a group, and what is derived of them
        self._totals: set[Variable] = set()
        self._member: dict[Apply, int] = {}
        self._kinds: dict[Apply, tuple[str, Variable]] = {}

    def take(self, node: Apply) -> None:
        """Look at one more node."""
        if not (self._is_product(node) or self._is_sum(node) or self._is_loop(node) or self._is_derived(node)):
            self._leave(node)

    def parts(self, order: Sequence[Apply]) -> list[RowPart]:
        """All groups as parts."""
        found: dict[int, RowPart] = {}
        for node in order:
            if node in self._member:
                part = found.setdefault(self._root(self._member[node]), RowPart())
                part.nodes.append(node)
                kind, matrix = self._kinds.get(node, (None, None))
                if kind is not None:
                    getattr(part, kind)[node] = matrix
        for variable, number in self._guess.items():
            part = found[self._root(number)]
            (part.guesses if variable in self._totals else part.derived).add(variable)
        return list(found.values())

    def _root(self, number: int) -> int:
        while self._parents[number] != number:
            number = self._parents[number]
        return number

    def _is_product(self, node: Apply) -> bool:
        if not isinstance(node.op, LeanMatrixVector) or node.inputs[0] not in self._matrices:
            return False
        number = len(self._parents)
        self._parents.append(number)
        self._before.append(self._complete(node.inputs))
        self._kinds[node] = ("products", node.inputs[0])
        self._add(node, number, rows=node.outputs)
        return True

    def _is_sum(self, node: Apply) -> bool:
        if not isinstance(node.op, LeanMatrixVector) or node.inputs[1] not in self._group:
            return False
        matrix = transposed_of(node.inputs[0])
        if matrix not in self._matrices or not self._joins(node, [node.inputs[1]], ()):
            return False
        self._kinds[node] = ("sums", matrix)
        return True

    def _is_loop(self, node: Apply) -> bool:
        if not _is_numeric_loop(node):
            return False
        is_along = [variable for variable, along in along_rows(node) if along]
        rows = [variable for variable in is_along if variable in self._group]
        others = [variable for variable in node.inputs if variable not in rows]
        if not rows or any(v in self._group for v in others):
            return False
        return self._joins(node, rows, others)

    def _joins(self, node: Apply, rows: Sequence[Variable], others: Sequence[Variable]) -> bool:
        """Add a node to the groups of its rows, which become one, unless something else lies between."""
        roots = {self._root(self._group[v]) for v in rows}
        known = [v for v in others if self._root_of_guess(v) not in roots]
        before = self._complete(known).union(*(self._before[root] for root in roots))
        if not roots.isdisjoint(self._all_before(before)):
            return False
        number = min(roots)
        for root in roots:
            self._parents[root] = number
        self._before[number] = before
        totals = [v for v in node.outputs if v.type.ndim == 0 or isinstance(node.op, LeanMatrixVector)]
        self._add(node, number, rows=[v for v in node.outputs if v not in totals])
        self._past.update((variable, {number}) for variable in totals)
        for variable in totals:
            if _is_truth_of_all(node, variable):
                self._guess[variable] = number
                self._totals.add(variable)
        return True

    def _is_derived(self, node: Apply) -> bool:
        """Whether a node makes something of one group's truths that may be made anew in each tile."""
        roots = {self._root(self._guess[v]) for v in node.inputs if v in self._guess}
        is_small = all(v.type.dtype == "bool" and v.type.ndim <= 1 for v in node.outputs)
        is_plain = isinstance(node.op, DimShuffle | MakeVector | CAReduce | Elemwise) and is_known(node.op)
        if len(roots) != 1 or not is_small or not is_plain:
            return False
        known = [v for v in node.inputs if v not in self._guess]
        (root,) = roots
        if any(v in self._group for v in known) or root in self._all_before(self._complete(known)):
            return False
        before = self._complete(node.inputs)
        for variable in node.outputs:
            self._guess[variable] = root
            self._past[variable] = before
        self._before[root] |= self._complete(known)
        return True

    def _root_of_guess(self, variable: Variable) -> int | None:
        return self._root(self._guess[variable]) if variable in self._guess else None

    def _add(self, node: Apply, number: int, *, rows: Sequence[Variable]) -> None:
        self._member[node] = number
        self._group.update((variable, number) for variable in rows)

    def _leave(self, node: Apply) -> None:
        before = self._complete(node.inputs)
        self._past.update((variable, before) for variable in node.outputs)

    def _complete(self, variables: Sequence[Variable]) -> set[int]:
        """Groups that must be complete before all of these are known."""
        before: set[int] = set()
        for variable in variables:
            before |= {self._group[variable]} if variable in self._group else self._past.get(variable, set())
        return before

    def _all_before(self, numbers: set[int]) -> set[int]:
        """These groups and all that must be complete before them."""
        seen: set[int] = set()
        stack = [self._root(number) for number in numbers]
        while stack:
            root = stack.pop()
            if root not in seen:
                seen.add(root)
                stack += [self._root(number) for number in self._before[root]]
        return seen


def _is_numeric_loop(node: Apply) -> bool:
    """Whether a node is a loop over vectors, or reduces one."""
    if not isinstance(node.op, FusedLoop | Elemwise | CAReduce) or not is_known(node.op):
        return False
    if not is_numeric(node) or any(v.type.ndim > 1 for v in (*node.inputs, *node.outputs)):
        return False
    if isinstance(node.op, CAReduce):
        return has_reducer(node)
    return node.inputs[0].type.ndim == 1


def _is_truth_of_all(node: Apply, variable: Variable) -> bool:
    reduction = node.op
    if isinstance(node.op, FusedLoop):
        result = node.op.results[node.outputs.index(variable)]
        reduction = result.reduction if isinstance(result, Reduced) else None
    is_and = isinstance(reduction, CAReduce) and isinstance(reduction.scalar_op, scalar_ops.AND)
    return is_and and variable.type.dtype == "bool"
