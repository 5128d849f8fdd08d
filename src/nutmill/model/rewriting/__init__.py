"""Rewrites of a model's graph that make it smaller, stabler and faster."""
