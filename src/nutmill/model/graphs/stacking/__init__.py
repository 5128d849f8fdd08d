"""Computes what is alike together: loops of Python that write thousands of operations on numbers become arrays."""

from nutmill.model.graphs.stacking.stacked import stacked

__all__ = ["stacked"]
