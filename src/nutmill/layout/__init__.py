"""CPU layout toolkit: what the machine offers, layouts of chains and BLAS threads, and which is fastest."""
