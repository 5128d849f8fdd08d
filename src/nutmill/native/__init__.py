"""A compiled model at run time: machine code, its data, calls. Knows no PyMC, no PyTensor and no Numba."""
