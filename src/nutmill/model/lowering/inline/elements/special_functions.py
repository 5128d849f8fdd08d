"""Special functions that SciPy holds, called through a slot for each, as BLAS is, so that such code stands alone."""

from collections.abc import Sequence

from llvmlite import ir
from numba.core import cgutils
from pytensor.graph.basic import Apply

from nutmill.model.lowering.inline.arrays import Emitter
from nutmill.model.lowering.inline.elements.scalar_rules import Rule, cast
from nutmill.native.routines import SPECIAL, SPECIAL_PREFIX

_HOME = "scipy.special."
_DOUBLE, _INT32 = ir.DoubleType(), ir.IntType(32)


def special_rule(node: Apply) -> Rule | None:
    """How to write a function of float64 that SciPy holds; None if the node is something else."""
    if node.outputs[0].type.dtype != "float64" or any(v.type.dtype.startswith("complex") for v in node.inputs):
        return None
    path = getattr(node.op, "nfunc_spec", None)
    name = path[0].removeprefix(_HOME) if path and path[0].startswith(_HOME) else ""
    if SPECIAL.get(name) != len(node.inputs):
        return None
    return lambda emitter, node, values: [call_special(emitter, name, _as_doubles(emitter, node, values))]


def _as_doubles(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
    return [cast(emitter, value, v.type.dtype, "float64") for value, v in zip(values, node.inputs, strict=True)]


def call_special(emitter: Emitter, name: str, values: Sequence[ir.Value]) -> ir.Value:
    """Load the slot of a function of `SPECIAL` and call what it points at."""
    builder, slot_name = emitter.builder, SPECIAL_PREFIX + name
    pointer = ir.IntType(8).as_pointer()
    slot = builder.module.globals.get(slot_name) or cgutils.add_global_variable(builder.module, pointer, slot_name)
    signature = ir.FunctionType(_DOUBLE, [_DOUBLE] * len(values) + [_INT32])
    function = builder.bitcast(builder.load(slot), signature.as_pointer())
    # The last argument is Cython's, and means nothing in a function of C.
    return builder.call(function, [*values, _INT32(0)])
