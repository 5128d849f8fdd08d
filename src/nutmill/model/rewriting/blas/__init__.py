"""Lean BLAS and LAPACK for PyTensor's Numba mode: slots for routines, kernels, ops, and the rewriter."""

from nutmill.model.rewriting.blas.lean import lean_rewriter
from nutmill.model.rewriting.blas.symbols import declare_slots

__all__ = ["declare_slots", "lean_rewriter"]
