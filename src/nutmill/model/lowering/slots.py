"""Slots for routines in this process, for code in Numba's own engine; an object of its own binds its own."""

import ctypes
from functools import cache

import llvmlite.binding as ll

from nutmill.native.routines import ROUTINES, SLOT_PREFIX, SPECIAL, SPECIAL_PREFIX, address, special_address


@cache
def declare_slots() -> dict[str, ctypes.c_void_p]:
    """Give every routine and special function a slot in this process, for code in Numba's own engine.

    Must run before Numba compiles or loads a lean op; later calls change nothing. The slots, by symbol, hold SciPy's
    addresses; they live as long as the process.
    """
    slots = {SLOT_PREFIX + routine: ctypes.c_void_p(address(routine)) for routine in ROUTINES}
    slots |= {SPECIAL_PREFIX + function: ctypes.c_void_p(special_address(function)) for function in SPECIAL}
    for symbol, slot in slots.items():
        ll.add_symbol(symbol, ctypes.addressof(slot))
    return slots
