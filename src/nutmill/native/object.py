"""Load a native object in an engine of its own, bind its BLAS, and hand out its functions."""

import ctypes
import weakref
from collections.abc import Callable, Iterable
from functools import lru_cache

import llvmlite.binding as llvm
import numpy as np

from nutmill.native import libmvec
from nutmill.native.processor import target
from nutmill.native.routines import ROUTINES, SLOT_PREFIX, SPECIAL, SPECIAL_PREFIX, address, special_address

PREFIX = "nutmill_"  # of the entries of an object
RELEASE = PREFIX + "release"  # which every object has

# What the names of Numba's functions in C begin with: those of typed lists, of its random numbers, of its runtime.
_OF_NUMBA = ("numba_", "NRT_")

_ELF_64 = b"\x7fELF\x02"
_ELF_SYMBOL = np.dtype(
    {
        "names": ["name", "section"],
        "formats": ["<u4", "<u2"],
        "offsets": [0, 6],
        "itemsize": 24,
    }
)


class NativeObject:
    """Native code in memory. One engine per object: Numba's single engine merges equal symbols of different bodies.

    `code` is the object file, as `fuse` emits it. `blas` gives the address of a BLAS or LAPACK routine by its Fortran
    name; by default SciPy's.
    """

    def __init__(self, code: bytes, blas: Callable[[str], int] = address):
        libmvec.load()
        self.code = code
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target().machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        weakref.finalize(self, _release, self._engine).atexit = False
        for routine in self.blas_routines:
            self._fill(SLOT_PREFIX + routine, blas(routine))
        for function in self._having_slots(SPECIAL_PREFIX, SPECIAL):
            self._fill(SPECIAL_PREFIX + function, special_address(function))

    @property
    def blas_routines(self) -> list[str]:
        """BLAS and LAPACK routines that the object calls: those whose slots are in its symbol table."""
        return self._having_slots(SLOT_PREFIX, ROUTINES)

    def _having_slots(self, prefix: str, names: Iterable[str]) -> list[str]:
        return [name for name in names if f"{prefix}{name}\0".encode() in self.code]

    def _fill(self, slot: str, address_: int) -> None:
        ctypes.c_void_p.from_address(self._engine.get_global_value_address(slot)).value = address_

    def release(self) -> None:
        """Give back the large blocks that the code keeps for its next calls (see `model/lowering/blocks.py`).

        Others may run it meanwhile.
        """
        _release(self._engine)

    def address(self, name: str) -> int:
        """Address of entry `name`; 0 if the object has none."""
        return self._engine.get_function_address(PREFIX + name)


@lru_cache(maxsize=8)
def loaded_once(code: bytes) -> NativeObject:
    """Load an object that binds no BLAS and keeps nothing: one serves all that brings the same code."""
    return NativeObject(code)


def _release(engine: llvm.ExecutionEngine) -> None:
    ctypes.CFUNCTYPE(None)(engine.get_function_address(RELEASE))()


def unresolved(code: bytes) -> list[str]:
    """Symbols that an object file needs and this process lacks: LLVM would end the process if it were loaded."""
    libmvec.load()
    return [name for name in undefined_symbols(code) if not _is_known(name)]


def _is_known(symbol: str) -> bool:
    """Whether LLVM can resolve a symbol; it is told of those of the process, which it searches in some states alone."""
    if llvm.address_of_symbol(symbol) is not None:
        return True
    try:
        found = ctypes.CDLL(None)[symbol]
    except AttributeError:
        return False
    llvm.add_symbol(symbol, ctypes.cast(found, ctypes.c_void_p).value)
    return True


def symbols_of_numba(code: bytes) -> list[str]:
    """Symbols that an object file needs and only a process with Numba has."""
    return [name for name in undefined_symbols(code) if name.startswith(_OF_NUMBA)]


def undefined_symbols(code: bytes) -> list[str]:
    """Names that an object file leaves to be resolved; none are known of files other than 64-bit ELF."""
    sections = {section.name(): section.data() for section in llvm.ObjectFileRef.from_data(code).sections()}
    if not code.startswith(_ELF_64) or b".symtab" not in sections:
        return []
    symbols = np.frombuffer(sections[b".symtab"], dtype=_ELF_SYMBOL)
    starts = symbols["name"][(symbols["section"] == 0) & (symbols["name"] > 0)]
    names = sections[b".strtab"]
    found = [names[start : names.index(b"\0", start)].decode() for start in starts]
    return [name for name in found if name != "_GLOBAL_OFFSET_TABLE_"]  # which the loader makes itself
