"""Measures what stands between a model and its first draw: compiles, caches, artifacts, memory."""
