"""A name for the structure of a model's graph, taken before anything is rewritten: the key of the cache.

Two graphs share a fingerprint only if PyTensor would compile the same code from both. It holds ops with their
properties, types, constants that stay in the code, and the order of everything; it holds no data, no lengths of data,
and no names but those of the reported variables. Whatever cannot be told apart by its content is refused with a
reason: such a model is compiled every time.
"""

import dataclasses
import enum
import hashlib
import sys
import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.op import HasInnerGraph, Op
from pytensor.graph.utils import MetaObject
from pytensor.scalar.basic import Composite
from pytensor.scan.op import Scan
from scipy.sparse import issparse

from nutmill.model.graphs.graph import ModelGraph
from nutmill.model.lowering.environment import VERSIONED

# What PyTensor and PyMC hang on variables and nodes for themselves: no rewrite of ours reads it.
_IDLE_TAGS = {
    *("trace", "test_value", "values_eq_approx", "nan_guard_mode_check", "attr", "attr_filter", "imported_by"),
    *("ufunc", "sig", "fake_node", "gufunc", "connection_pattern", "observations", "transform", "removed_by"),
}
# What PyTensor remembers of a constant's content, which is in the fingerprint itself.
_REMEMBERED = {"unique_indices", "jointly_unique_indices", "is_arange", "unique_value"}
_REMEMBERED |= {f"is_{kind}" for kind in ("permutation", "selection", "diagonal", "tridiagonal", "positive")}
_REMEMBERED |= {"is_non_negative"}

# What ops with an inner graph hold besides what they mean: the graph, which is walked, and what follows from it.
_SCAN = ("info", "truncate_gradient", "allow_gc", "strict", "mode", "mitmots_preallocated", "destroy_map", "view_map")
_DERIVED = {"fgraph", "input_types", "output_types", "name", "_fn", "_init_kwargs", "_lop_op_interface"}
_DERIVED |= {"_lop_op_cache", "_rop_op_cache", "_frozen_lop", "_frozen_rop", "_freezing_overrides"}
_DERIVED |= {"_inner_shape_template", "_inner_shape_frozen"}

_PLAIN = (type(None), bool, int, str, bytes)


class Nameless(Exception):
    """Something whose content cannot be told."""


class Fingerprint(NamedTuple):
    """The name of a graph, or why it has none."""

    digest: str | None
    reason: str = ""


def fingerprint(graph: ModelGraph) -> Fingerprint:
    """Name the structure of a graph; the same in every process, and for all data of the same ranks and dtypes."""
    if graph.native_density is not None:
        return Fingerprint(None, "what an njit density calls cannot be seen from outside")
    inputs = [*(p.variable for p in graph.parameters), *(a.variable for a in graph.arrays)]
    inputs += [site.centredness for site in graph.sites]
    computed = graph.computed()
    outputs = [graph.logp, *computed.values(), *(v for site in graph.sites for v in (site.location, site.log_scale))]
    try:
        structure = Reader().graph(inputs, [v for v in outputs if v is not None])
    except Nameless as error:
        return Fingerprint(None, str(error))
    sites = [(site.parameter, site.written, site.joint) for site in graph.sites]
    text = repr((len(graph.parameters), list(computed), sites, structure, graph.dtype, graph.lowering))
    return Fingerprint(hashlib.sha256(text.encode()).hexdigest())


class Reader:
    """Turns what graphs consist of into nested tuples of plain values, whose `repr` tells all that differs apart."""

    def __init__(self):
        self._ops: dict[int, tuple[Op, str]] = {}  # the op is kept, so that its id stays its own

    def graph(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> tuple:
        """Types of the inputs, each node with what it is applied to, and which variables are the outputs."""
        numbers = {variable: number for number, variable in enumerate(inputs)}
        if len(numbers) != len(inputs):
            raise Nameless("a graph has the same input twice")
        lines = []
        for node in _in_order(outputs, set(numbers)):
            applied = [self._reference(variable, numbers) for variable in node.inputs]
            for variable in node.outputs:
                numbers.setdefault(variable, len(numbers))
            lines.append((self._op_digest(node.op), applied, self._tags(node), self._outputs(node, numbers)))
        heads = [(self.value(variable.type), self._tags(variable)) for variable in inputs]
        return "graph", heads, lines, [self._reference(variable, numbers) for variable in outputs]

    def value(self, x: object) -> object:
        """Anything that may stand in a property of an op."""
        if type(x) in _PLAIN:
            return x
        if type(x) in (float, complex):
            return type(x).__name__, np.asarray(x).tobytes()
        if isinstance(x, np.ndarray | np.generic):
            return _array(x)
        if issparse(x):
            return _sparse(x)
        if isinstance(x, np.dtype) and x.names is None:
            return "dtype", x.str
        if _is_a(x, tuple, list, dict, Mapping, set, frozenset, slice):
            return self._collection(x)
        if isinstance(x, type | types.FunctionType):
            return "name", _name(x)
        if isinstance(x, enum.Enum):
            return "member", _name(type(x)), x.name
        return self._object(x)

    def _collection(self, x) -> tuple:
        if _is_a(x, dict, Mapping):
            return "mapping", sorted(((self.value(key), self.value(item)) for key, item in x.items()), key=repr)
        if _is_a(x, slice):
            return "slice", self.value(x.start), self.value(x.stop), self.value(x.step)
        if _is_a(x, set, frozenset):
            return "set", sorted((self.value(item) for item in x), key=repr)
        kind = type(x).__name__ if type(x) in (tuple, list) else _name(type(x))
        return kind, [self.value(item) for item in x]

    def _object(self, x) -> object:
        if _is_a(x, Op):
            return "op", self._op_digest(x)
        if _is_a(x, Constant):
            return self.constant(x)
        if dataclasses.is_dataclass(x):
            fields = [(field.name, self.value(getattr(x, field.name))) for field in dataclasses.fields(x)]
            return "record", _name(type(x)), fields
        if _is_a(x, MetaObject):
            return "object", _name(type(x)), self._properties(x)
        raise Nameless(f"{x!r} of {type(x).__module__} cannot be told by its content")

    def _properties(self, x) -> list:
        """Properties by PyTensor's contract that objects which agree in them are equal; else all attributes."""
        names = getattr(x, "__props__", None)
        found = vars(x) if names is None else {name: getattr(x, name) for name in names}
        return [(name, self.value(found[name])) for name in sorted(found)]

    def _op_digest(self, op: Op) -> str:
        if id(op) not in self._ops:
            try:
                text = repr((_name(type(op)), self._inner(op) if _is_a(op, HasInnerGraph) else self._properties(op)))
            except Nameless as error:
                raise Nameless(f"{type(op).__name__}: {error}") from error
            self._ops[id(op)] = op, hashlib.sha256(text.encode()).hexdigest()
        return self._ops[id(op)][1]

    def _inner(self, op: Op) -> tuple:
        """Ops that hold a graph: its structure, and what else each kind of them consists of."""
        if _is_a(op, Scan):
            found = {name: getattr(op, name, None) for name in _SCAN}
        elif _is_a(op, OpFromGraph):
            op.connection_pattern(None)  # which is None until somebody asks; the user may have given one
            # Of user's functions for gradients only those that a version of a package names get through.
            found = {name: attribute for name, attribute in vars(op).items() if name not in _DERIVED}
        elif type(op) is Composite:
            found = {}
        else:
            raise Nameless("an inner graph of an unknown kind")
        attributes = [(name, self.value(found[name])) for name in sorted(found)]
        return attributes, self.graph(op.inner_inputs, op.inner_outputs)

    def _outputs(self, node: Apply, numbers: dict[Variable, int]) -> list:
        return [(numbers[v], self.value(v.type), self._tags(v)) for v in node.outputs]

    def _reference(self, variable: Variable, numbers: dict[Variable, int]) -> object:
        if variable in numbers:
            return numbers[variable]
        if isinstance(variable, Constant):
            return self.constant(variable)
        raise Nameless(f"{variable} is neither a parameter nor data")

    def constant(self, constant: Constant) -> tuple:
        return "constant", self.value(constant.type), self.value(constant.data), self._tags(constant)

    def _tags(self, thing: Variable | Apply) -> list:
        """Hints to rewrites, such as that a matrix is triangular."""
        idle = _IDLE_TAGS | _REMEMBERED if isinstance(thing, Constant) else _IDLE_TAGS
        return [(name, self.value(hint)) for name, hint in sorted(vars(thing.tag).items()) if name not in idle]


def _in_order(outputs: Sequence[Variable], inputs: set[Variable]) -> list[Apply]:
    """Nodes behind the outputs, each after those it needs, in an order that depends on the graph alone."""
    found: dict[Apply, None] = {}
    stack = [(variable.owner, False) for variable in reversed(outputs) if variable not in inputs]
    while stack:
        node, is_ready = stack.pop()
        if node is None or node in found:
            continue
        if is_ready:
            found[node] = None
        else:
            stack.append((node, True))
            stack.extend((v.owner, False) for v in reversed(node.inputs) if v not in inputs)
    return list(found)


def _is_a(x: object, *classes: type) -> bool:
    """As `isinstance`, which takes PyTensor's abstract classes a tenth of a second when they first see a type."""
    return _derives(type(x), classes)  # type: ignore[arg-type]  # mypy doubts that classes have a hash


@cache
def _derives(kind: type, classes: tuple[type, ...]) -> bool:
    return any(one is other for one in kind.__mro__ for other in classes)


def _sparse(matrix: Any) -> tuple:
    entries = matrix.tocoo()
    return "sparse", matrix.format, matrix.shape, _array(entries.row), _array(entries.col), _array(entries.data)


def _array(x: np.ndarray | np.generic) -> tuple:
    x = np.asarray(x)
    if x.dtype.hasobject or x.dtype.names is not None:
        raise Nameless(f"an array of {x.dtype}")
    return "array", x.dtype.str, x.shape, hashlib.sha256(x.tobytes()).hexdigest()


def has_version(x: type | types.FunctionType) -> bool:
    """Whether a class or function belongs to a package whose version is in every key."""
    return (getattr(x, "__module__", None) or "builtins").split(".")[0] in (*VERSIONED, "builtins", "numpy")


def _name(x) -> str:
    """Where a class or function is found, if it is found there, in a package whose version is in the key."""
    home, path = getattr(x, "__module__", None) or "builtins", getattr(x, "__qualname__", x.__name__)
    if not has_version(x):
        raise Nameless(f"{path} belongs to {home}, of which no version is known")
    found = sys.modules.get(home)
    for part in path.split("."):
        found = getattr(found, part, None)
    if found is not x:
        raise Nameless(f"{path} was made at run time")
    return f"{home}.{path}"
