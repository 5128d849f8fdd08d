"""Matrices: products, factors, systems, eigenvalues, by LAPACK and BLAS or by loops where these are small."""
