"""Load a native object in an engine of its own, bind its BLAS, and hand out its functions."""

import ctypes

import llvmlite.binding as llvm

from nutmill.model import vectormath
from nutmill.model.blas import ROUTINES, SLOT_PREFIX, address
from nutmill.model.fuse import PREFIX, target_machine


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
        for routine in self.blas_routines:
            slot = self._engine.get_global_value_address(SLOT_PREFIX + routine)
            ctypes.c_void_p.from_address(slot).value = address(routine)

    @property
    def blas_routines(self) -> list[str]:
        """BLAS and LAPACK routines that the object calls: those whose slots are in its symbol table."""
        return [routine for routine in ROUTINES if f"{SLOT_PREFIX}{routine}\0".encode() in self.code]

    def address(self, name: str) -> int:
        """Address of entry `name`; 0 if the object has none."""
        return self._engine.get_function_address(PREFIX + name)
