"""Computes what is alike together: loops of Python that write thousands of operations on numbers become arrays."""

from nutmill.model.stacking.build import stacked

__all__ = ["stacked"]
