"""The two ways to lower a graph: with nutmill's own forms of operations, or with PyTensor's Numba forms alone.

The second shares nothing with the first but the graph of density and gradient, and what of it is computed once for
all draws. So tests compare the two, and users have it where a release of PyTensor breaks a form of ours.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from nutmill.model.lowering.inline import graph_program, linked_function
from nutmill.model.rewriting.rewrite import rewrite


class Way(NamedTuple):
    """How graphs are rewritten, and what they become: operations in order that entries write, or a Numba function."""

    rewrite: Callable  # as `rewrite.rewrite`
    function: Callable  # as `inline.graph_program` or `inline.linked_function`


WAYS = {
    "nutmill": Way(rewrite, graph_program),
    "numba": Way(partial(rewrite, ours=False), linked_function),
}
