"""Every sampler on one model, side by side: each run in a process of its own, reduced to numbers."""
