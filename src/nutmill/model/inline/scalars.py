"""A scalar operation, or a composite of many, written where it is called; Numba compiles what has no rule."""

from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir
from numba import typeof
from numba.core.dispatcher import Dispatcher
from pytensor.graph.basic import Apply, Constant
from pytensor.link.numba.dispatch.basic import numba_funcify, numba_njit
from pytensor.scalar.basic import Composite, ScalarOp, get_scalar_type

from nutmill.model.inline.arrays import Emitter, numba_dtype
from nutmill.model.inline.rules import Rule, rule_of


class Scalar:
    """A scalar operation made ready to be written.

    Parameters
    ----------
    op : ScalarOp
    dtypes : sequence of str
        Of its operands.

    Attributes
    ----------
    dtypes : list of str
        Of its results.
    """

    def __init__(self, op: ScalarOp, dtypes: Sequence[str]):
        node = op.make_node(*(get_scalar_type(dtype)() for dtype in dtypes))
        op = node.op  # a composite made for other dtypes is made anew for these
        is_composite = isinstance(op, Composite)
        whole = op.fgraph if is_composite else node
        parts = op.fgraph.toposort() if is_composite else [node]
        self._sources, self._results = list(whole.inputs), list(whole.outputs)
        self.dtypes = [variable.type.dtype for variable in whole.outputs]
        self._parts = [(part, rule_of(part) or _ready(part)) for part in parts]

    def emit(self, emitter: Emitter, values: Sequence[ir.Value]) -> list[ir.Value]:
        """Write the operation on numbers of the operands' dtypes; returns one number for each result."""
        known = dict(zip(self._sources, values, strict=True))
        for part, rule in self._parts:
            results = rule(emitter, part, [_value(emitter, v, known) for v in part.inputs])
            known.update(zip(part.outputs, results, strict=True))
        return [_value(emitter, v, known) for v in self._results]


def _value(emitter: Emitter, variable, known: dict) -> ir.Value:
    if isinstance(variable, Constant):
        return emitter.context.get_constant(numba_dtype(variable.type.dtype), np.asarray(variable.data).item())
    return known[variable]


def _ready(node: Apply) -> Rule:
    """A rule that calls Numba's form of a node, or writes a composite within a composite."""
    if isinstance(node.op, Composite):
        inner = Scalar(node.op, [v.type.dtype for v in node.inputs])
        return lambda emitter, _, values: inner.emit(emitter, values)
    function = numba_funcify(node.op, node=node)
    return _calling(function if isinstance(function, Dispatcher) else numba_njit(function))


def _calling(function: Callable) -> Rule:
    def rule(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
        kind = typeof(function)  # holds the function weakly
        operands = [numba_dtype(v.type.dtype) for v in node.inputs]
        signature = emitter.typing.resolve_function_type(kind, operands, {})
        result = emitter.context.get_function(kind, signature)(emitter.builder, values)
        out = numba_dtype(node.outputs[0].type.dtype)
        return [emitter.context.cast(emitter.builder, result, signature.return_type, out)]

    return rule
