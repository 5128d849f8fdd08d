"""Lean BLAS and LAPACK for PyTensor's Numba mode: operations that are called through slots, and their rewriter."""
