"""Functions of 64-bit words as LLVM IR that nutmill writes itself, for Numba to optimise and to link what they call.

Numba's front end takes some 50 CPU ms for a function of a few lines, and each entry would be two of them.
"""

from collections.abc import Callable, Sequence
from itertools import count

import numba
from llvmlite import ir
from numba import types
from numba.core.compiler import Flags, _make_subtarget
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher
from numba.core.registry import cpu_target
from numba.core.targetconfig import ConfigStack
from pytensor.link.numba.dispatch.basic import numba_njit

from nutmill.errors import Status
from nutmill.model.lowering.fuse import Lowered
from nutmill.model.lowering.inline.arrays import WORD, Emitter

_numbers = count()  # of functions of this process: names in Numba's engine differ


def written(name: str, n_words: int, body: Callable[[Emitter, Sequence[ir.Value]], None], *, fast: bool) -> Lowered:
    """Write a function of words that returns a status: fine, unless `body` returns another or raises.

    It has `n_words` arguments, in Numba's calling convention. ``body(emitter, words)`` writes what is in it: `fast`,
    with PyTensor's freedom in floating point, for operations; else what is called keeps its own.
    """
    options = numba_njit(_nothing, error_model="numpy") if fast else numba.njit(error_model="numpy")(_nothing)
    flags = _flags(options)
    symbol = f"nutmill_entry_{name}_{next(_numbers)}"
    words = (types.int64,) * n_words
    with global_compiler_lock, ConfigStack().enter(flags):
        cpu_target.typing_context.refresh()
        cpu_target.target_context.refresh()
        context = _make_subtarget(cpu_target.target_context, flags)
        library, module = context.codegen().create_library(symbol), context.create_module(symbol)
        function = ir.Function(module, context.call_conv.get_function_type(types.int64, words), symbol)
        context.call_conv.decorate_function(function, [f"word_{i}" for i in range(n_words)], words)
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        with context.push_code_library(library):
            body(Emitter(context, builder, cpu_target.typing_context), context.call_conv.get_arguments(function))
            context.call_conv.return_value(builder, WORD(int(Status.OK)))
            context.post_lowering(module, library)
        library.add_ir_module(module)
        library.finalize()
        address = library.get_pointer_to_function(symbol)
        return Lowered(library._get_module_for_linking().as_bitcode(), symbol, n_words, address, library)


def _nothing() -> None:
    """Carry options."""


def _flags(function: Dispatcher) -> Flags:
    """Give what Numba makes of a function's options."""
    flags = Flags()
    function.targetdescr.options.parse_as_flags(flags, function.targetoptions)
    return flags
