"""The BLAS libraries of the process: found, limited, given to chains."""
