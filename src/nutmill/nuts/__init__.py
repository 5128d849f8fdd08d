"""The mathematics of the sampler: njit only, no Python objects, no I/O, knows no PyMC."""
