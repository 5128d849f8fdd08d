"""Where a model has locations and scales of its own, and its log density in coordinates that the sampler may choose."""
