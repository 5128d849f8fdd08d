"""Numba as a front end alone: within `bitcode_only` it stops at bitcode, and emits no machine code.

Numba optimises each function twice and emits machine code for it, although `fuse` optimises and emits the whole
again. Without that a compile takes half the time.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from weakref import WeakKeyDictionary, finalize

import numba
from numba.core import cgutils
from numba.core.caching import Cache
from numba.core.codegen import CPUCodeLibrary, JITCodeLibrary, JITCPUCodegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher
from numba.np.ufunc.dufunc import DUFunc

# What each function was compiled to within `bitcode_only`, by signature: good for linking, not for calls.
_put_away: WeakKeyDictionary[Dispatcher, dict] = WeakKeyDictionary()


@contextmanager
def bitcode_only() -> Iterator[None]:
    """Let functions be compiled no further than to bitcode in this block.

    Other threads that want to compile wait until it ends; what they may call at its beginning, they may call within
    it. A function that Python may call, such as a density of the user's, comes out as it went in: what was compiled
    here is put away, and taken up again by the next block.
    """
    with global_compiler_lock, ExitStack() as stack:
        stack.enter_context(_replaced(_REPLACEMENTS))
        callable_before: dict[Dispatcher, dict] = {}
        stack.callback(_restore, callable_before)
        stack.enter_context(_replaced([(Dispatcher, "add_overload", _noting(callable_before))]))
        for function, results in list(_put_away.items()):
            _note(callable_before, function)
            for arguments, result in results.items():
                function.overloads.setdefault(arguments, result)
        yield


@contextmanager
def _replaced(replacements) -> Iterator[None]:
    """Put other attributes in the place of some, for the length of a block."""
    with ExitStack() as stack:
        for owner, name, replacement in replacements:
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, replacement)
        yield


def _nothing(*_) -> None:
    """Stand in for a step that matters only to code that runs in Numba's engine, or is kept on disk."""


def _no_address(library: JITCodeLibrary, name: str) -> int:
    """Stand in for the address of a function: there is none, but the library must be complete."""
    library._ensure_finalized()
    return 0


def _inline_only(library: CPUCodeLibrary) -> None:
    """Stand in for the optimiser: inlining lets Numba drop pairs of reference counts; `fuse` does the rest."""
    codegen = library._codegen
    passes, builder = codegen._module_pass_manager(
        loop_vectorize=False, slp_vectorize=False, opt=codegen._opt_level, cost="cheap"
    )
    passes.run(library._final_module, builder)


_BITCODE = (
    (JITCodeLibrary, "_finalize_specific", _nothing),
    (JITCodeLibrary, "get_pointer_to_function", _no_address),
    (JITCPUCodegen, "_add_module", _nothing),
    (JITCPUCodegen, "set_env", _nothing),
    (CPUCodeLibrary, "_optimize_final_module", _inline_only),
    (Cache, "save_overload", _nothing),
)
_MACHINE_CODE = tuple((owner, name, getattr(owner, name)) for owner, name, _ in _BITCODE)
_compile_loop = DUFunc._compile_for_argtys


def _compile_loop_to_machine_code(function: DUFunc, *arguments, **options):
    """Stand in for a universal function's compiler: NumPy keeps the address of each loop, so there must be one."""
    with _replaced(_MACHINE_CODE):
        return _compile_loop(function, *arguments, **options)


def _pointer_add(builder, ptr, offset, return_type=None):
    """Stand in for what Numba before 0.67 makes of integers, in which LLVM loses what a pointer points into.

    It takes a store for one that nobody reads, once such code is inlined (numba 10605).
    """
    offset = cgutils.intp_t(offset) if isinstance(offset, int) else offset
    moved = builder.gep(builder.bitcast(ptr, cgutils.voidptr_t), [offset])
    return builder.bitcast(moved, return_type or ptr.type)


_REPLACEMENTS = [*_BITCODE, (DUFunc, "_compile_for_argtys", _compile_loop_to_machine_code)]
if numba.version_info[:2] < (0, 67):
    _REPLACEMENTS.append((cgutils, "pointer_add", _pointer_add))


def _note(callable_before: dict[Dispatcher, dict], function: Dispatcher) -> None:
    callable_before.setdefault(function, dict(function.overloads))


def _noting(callable_before: dict[Dispatcher, dict]):
    """Stand in for `Dispatcher.add_overload`: Numba may link the result, and Python does not see it."""

    def add_for_numba(function: Dispatcher, result) -> None:
        _note(callable_before, function)
        function.overloads[tuple(result.signature.args)] = result

    return add_for_numba


def _restore(callable_before: dict[Dispatcher, dict]) -> None:
    """Leave every function with what it had before, and put the rest away."""
    for function, before in callable_before.items():
        new = {key: result for key, result in function.overloads.items() if result is not before.get(key)}
        function.overloads.clear()
        function.overloads.update(before)
        if function not in _put_away:
            _put_away[function] = {}
            finalize(function, _forget, function.targetctx, _put_away[function])
        _put_away[function].update(new)


def _forget(target, results: dict) -> None:
    """Let Numba drop what it knows of a function that is gone."""
    for result in results.values():
        with suppress(KeyError):
            target.remove_user_function(result.entry_point)
