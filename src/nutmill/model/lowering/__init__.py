"""From a graph to machine code: our forms, Numba's, bitcode, the kernel, native objects."""
