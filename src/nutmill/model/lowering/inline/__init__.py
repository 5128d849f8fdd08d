"""Operations of a graph written as LLVM IR where they are called, so that Numba compiles one function for a graph."""

from nutmill.model.lowering.inline.programs import graph_function, graph_program, linked_function

__all__ = ["graph_function", "graph_program", "linked_function"]
