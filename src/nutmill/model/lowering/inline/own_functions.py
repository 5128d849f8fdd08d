"""Functions that are written once in a module of IR, for all places with the same operation on the same types."""

import hashlib
from collections.abc import Callable, Sequence

from llvmlite import ir
from numba import types
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import Emitter, Value

# (emitter within the function, what it is given): writes the body, which ends with a return of a value.
WriteBody = Callable[[Emitter, Sequence[ir.Value]], None]


def call_own(emitter: Emitter, what: str, result: types.Type, given: Sequence[Value], write: WriteBody) -> ir.Value:
    """Call the function that does `what` to values of these kinds; leaves the caller where it raises.

    Parameters
    ----------
    what
        All that `write` depends on, besides the kinds.
    result
        Kind of what it returns.
    given
        What it takes.
    write
        Writes its body, if the module has no such function yet. The body has no memory of the caller's.

    Returns
    -------
    ir.Value
        What the function returned.
    """
    convention, module, builder = emitter.context.call_conv, emitter.builder.module, emitter.builder
    kinds = [each.kind for each in given]
    name = f"nutmill_own_{hashlib.sha256(repr((what, result, kinds)).encode()).hexdigest()[:24]}"
    function = module.globals.get(name)
    if function is None:
        function = ir.Function(module, convention.get_function_type(result, kinds), name)
        function.linkage = "internal"
        function.attributes.add("noinline")  # or LLVM would make many of it again
        convention.decorate_function(function, [f"input_{i}" for i in range(len(kinds))], kinds)
        inside = Emitter(emitter.context, ir.IRBuilder(function.append_basic_block("entry")), emitter.typing)
        write(inside, convention.decode_arguments(inside.builder, kinds, function))
    values = [each.value for each in given]
    status, value = convention.call_function(builder, function, result, kinds, values)
    with cgutils.if_unlikely(builder, status.is_error):
        convention.return_status_propagate(builder, status)
    return value
