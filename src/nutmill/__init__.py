"""nutmill samples PyMC models with NUTS at machine speed on CPUs."""
