"""Looks ahead how much memory a compile will take, and keeps it low."""

import gc
import warnings

from pytensor.graph.traversal import ancestors

from nutmill.frames import users_level
from nutmill.model.graphs.graph import ModelGraph
from nutmill.native.process_memory import available_bytes

# From models of 44 to 351 operations (110 to 122 MB), and rather much: what the compilers take at once, and for each
# operation of the graph that PyMC gives, before gradients and rewrites.
_AT_ONCE, _EACH = 100e6, 0.15e6
# With so many operations what a step leaves behind is worth the tenth of a second that finding it takes.
_MANY = 200


def expected_bytes(graph: ModelGraph) -> float:
    """Memory that compiling a model takes besides what this process has already, roughly."""
    return _AT_ONCE + _EACH * _n_operations(graph)


def tidy_up(graph: ModelGraph) -> None:
    """Free what a step of compiling a large model leaves behind: graphs are cycles, which wait for the collector."""
    if _n_operations(graph) >= _MANY:
        gc.collect()


def _n_operations(graph: ModelGraph) -> int:
    outputs = [node.variable for node in graph.expanded.values()]
    outputs += [graph.logp] if graph.logp is not None else []
    return len({v.owner for v in ancestors(outputs) if v.owner is not None})


def warn_of_memory(graph: ModelGraph) -> None:
    """Warn before a compile that will hardly fit: a process that is killed says nothing."""
    expected, there = expected_bytes(graph), available_bytes()
    if there is not None and expected > there:
        warnings.warn(
            f"nutmill: compiling this model will take about {expected / 1e9:.1f} GB of memory, and {there / 1e9:.1f} "
            "GB are free: compile it on a machine with more and save() it, or write it with fewer, larger variables.",
            stacklevel=users_level(),
        )
