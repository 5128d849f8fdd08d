"""Load a native object in an engine of its own and hand out its functions."""

import ctypes

import llvmlite.binding as llvm

from nutmill.model import vectormath
from nutmill.model.fuse import PREFIX, target_machine

_WORD = ctypes.c_int64


class NativeObject:
    """Native code in memory. One engine per object: Numba's single engine merges equal symbols of different bodies.

    Parameters
    ----------
    code
        The object file, as `fuse` emits it.
    """

    def __init__(self, code: bytes):
        vectormath.load()
        self.code = code
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Address of entry `name`; 0 if the object has none."""
        return self._engine.get_function_address(PREFIX + name)
