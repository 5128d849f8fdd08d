"""The bar for warmup: hierarchies as people write them, centred, and a few models that must not get worse."""
