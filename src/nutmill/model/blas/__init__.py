"""Lean BLAS and LAPACK for PyTensor's Numba mode: slots for routines, kernels, ops, and the rewriter."""

from nutmill.model.blas.rewrite import lean_rewriter
from nutmill.model.blas.routines import ROUTINES, SLOT_PREFIX, address
from nutmill.model.blas.symbols import declare_slots

__all__ = ["ROUTINES", "SLOT_PREFIX", "address", "declare_slots", "lean_rewriter"]
