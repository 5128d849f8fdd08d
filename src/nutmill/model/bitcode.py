"""Numba as a front end alone: within `bitcode_only` it stops at bitcode, and emits no machine code.

Numba optimises each function twice and emits machine code for it, although `fuse` optimises and emits the whole
again. Without that a compile takes half the time.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from weakref import WeakKeyDictionary, finalize

from numba.core.codegen import CPUCodeLibrary, JITCodeLibrary, JITCPUCodegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher

# What each function was compiled to within `bitcode_only`: good for linking, not for calls.
_put_away: WeakKeyDictionary[Dispatcher, list] = WeakKeyDictionary()


@contextmanager
def bitcode_only() -> Iterator[None]:
    """Let functions be compiled no further than to bitcode in this block.

    Other threads that want to compile wait until it ends. A function that Python may call, such as a density of the
    user's, comes out as it went in: what was compiled here is put away, and taken up again by the next block.
    """
    with global_compiler_lock, ExitStack() as stack:
        for owner, name, replacement in _REPLACEMENTS:
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, replacement)
        callable_before: dict[Dispatcher, list] = {}
        stack.callback(_restore, callable_before, Dispatcher.add_overload)
        Dispatcher.add_overload = _remembering(callable_before, Dispatcher.add_overload)
        for function, results in list(_put_away.items()):
            for result in results:
                function.add_overload(result)
        yield


def _nothing(*_) -> None:
    """Stand in for a step that matters only to code that runs in Numba's engine."""


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


_REPLACEMENTS = (
    (JITCodeLibrary, "_finalize_specific", _nothing),
    (JITCodeLibrary, "get_pointer_to_function", _no_address),
    (JITCPUCodegen, "_add_module", _nothing),
    (JITCPUCodegen, "set_env", _nothing),
    (CPUCodeLibrary, "_optimize_final_module", _inline_only),
)


def _remembering(callable_before: dict[Dispatcher, list], add_overload):
    """Make `Dispatcher.add_overload` note what a function had before its first addition."""

    def add_and_remember(function: Dispatcher, result) -> None:
        callable_before.setdefault(function, list(function.overloads.values()))
        add_overload(function, result)

    return add_and_remember


def _restore(callable_before: dict[Dispatcher, list], add_overload) -> None:
    """Leave every function with what it had before, and put the rest away."""
    Dispatcher.add_overload = add_overload
    for function, results in callable_before.items():
        new = [result for result in function.overloads.values() if result not in results]
        function._reset_overloads()
        for result in results:
            function.add_overload(result)
        if function not in _put_away:
            _put_away[function] = []
            finalize(function, _forget, function.targetctx, _put_away[function])
        _put_away[function][:] = new


def _forget(target, results: list) -> None:
    """Let Numba drop what it knows of a function that is gone."""
    for result in results:
        with suppress(KeyError):
            target.remove_user_function(result.entry_point)
