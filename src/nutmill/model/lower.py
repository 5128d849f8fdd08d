"""From a PyTensor graph to LLVM bitcode: Numba compiles it, small intrinsics of ours feed and empty it.

Every entry takes plain 64-bit words (addresses and counts), so that C, ctypes and our own kernel call it alike:

    density(q, lp, gradient, record)
    expand(q, n_draws, out, row_bytes, shapes, record)
    prepare(out, shapes, record)

`out == 0` asks `expand` and `prepare` for the shapes of their outputs only. Outputs are packed: each begins at the
next multiple of eight bytes, in its own dtype.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numba
from numba import types

from nutmill.errors import Status
from nutmill.model.arrays import describe, fits, make_arguments, make_n_dim, make_store_gradient, pack
from nutmill.native.record import Slot

# Only native code calls an entry, so the wrappers that Numba would add for Python are left out.
_entry = numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
_OK, _BAD_SHAPE = int(Status.OK), int(Status.BAD_SHAPE)

# What Numba calls the variables in which it keeps addresses: of functions of C, of large constants.
_ADDRESS = b"numba.dynamic.globals"


class Lowered(NamedTuple):
    """One compiled function: its bitcode, the symbol in it, how many words it takes, and where it is loaded."""

    bitcode: bytes
    symbol: str
    n_words: int
    address: int  # in Numba's own engine, in Numba's calling convention
    owner: Callable  # keeps what that engine needs to run it

    @property
    def has_addresses(self) -> bool:
        """Whether it holds addresses of this process, and so means nothing in another."""
        return _ADDRESS in self.bitcode


def density_entry(graph: Callable, slots: Sequence[Slot]) -> Lowered:
    """Wrap njit `graph(*parameters, *arrays) -> (logp, *gradients)` as `density`."""
    arguments = make_arguments(slots)
    store_gradient = make_store_gradient([slot for slot in slots if slot.is_parameter])

    @_entry
    def density(q, lp, gradient, record):
        store_gradient(graph(*arguments(q, record)), lp, gradient, record)
        return _OK

    return _lower(density, 4)


def native_density_entry(native: Callable, slots: Sequence[Slot], *, data_is_tuple: bool) -> Lowered:
    """Wrap a user's njit `native(q, gradient, data) -> logp` as `density`."""
    arguments = make_arguments(slots)
    store_lp = make_store_gradient([])

    @_entry
    def density_of_tuple(q, lp, gradient, record):
        views = arguments(q, record)
        value = native(views[0], arguments(gradient, record)[0], views[1:])
        store_lp((value,), lp, gradient, record)
        return _OK

    @_entry
    def density_of_array(q, lp, gradient, record):
        views = arguments(q, record)
        value = native(views[0], arguments(gradient, record)[0], views[1])
        store_lp((value,), lp, gradient, record)
        return _OK

    return _lower(density_of_tuple if data_is_tuple else density_of_array, 4)


def expand_entry(graph: Callable, slots: Sequence[Slot]) -> Lowered:
    """Wrap njit `graph(*parameters, *arrays) -> outputs` as `expand`, a loop over draws."""
    arguments = make_arguments(slots)
    n_dim_words = make_n_dim(slots)

    @_entry
    def expand(q, n_draws, out, row_bytes, shapes, record):
        if out == 0:
            describe(graph(*arguments(q, record)), shapes)
            return _OK
        for draw in range(n_draws):
            outputs = graph(*arguments(q + 8 * draw * n_dim_words(record), record))
            if not fits(outputs, shapes):
                return _BAD_SHAPE
            pack(outputs, out + draw * row_bytes)
        return _OK

    return _lower(expand, 6)


def prepare_entry(graph: Callable, slots: Sequence[Slot]) -> Lowered:
    """Wrap njit `graph(*arrays) -> outputs` as `prepare`."""
    arguments = make_arguments(slots)

    @_entry
    def prepare(out, shapes, record):
        outputs = graph(*arguments(0, record))
        if out == 0:
            describe(outputs, shapes)
            return _OK
        if not fits(outputs, shapes):
            return _BAD_SHAPE
        pack(outputs, out)
        return _OK

    return _lower(prepare, 3)


def _lower(entry: Callable, n_words: int) -> Lowered:
    signature = (types.int64,) * n_words
    entry.compile(signature)
    overload = entry.overloads[signature]
    symbol = overload.fndesc.llvm_func_name
    bitcode = overload.library._get_module_for_linking().as_bitcode()
    return Lowered(bitcode, symbol, n_words, overload.library.get_pointer_to_function(symbol), entry)
