"""Fingerprints of graphs in which one thing was changed: a constant by its last bit, an op, an order, a sign."""

from dataclasses import replace

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor.graph.basic import Apply, Constant, equal_computations
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.scalar import basic as scalar
from pytensor.tensor.elemwise import Elemwise
from zoo_graphs import ALL, build, digest

from nutmill.model.graphs.graph import ModelGraph, Node
from nutmill.model.graphs.pymc_model import from_pymc


def mutants(graph: ModelGraph, rng: np.random.Generator, n: int):
    """Graphs that differ from `graph` in one place, with what was done there."""
    outputs = [graph.logp, *graph.computed().values()]
    variables = list(ancestors(outputs))
    reals = [
        v for v in variables if isinstance(v, Constant) and v.type.dtype == "float64" and np.isfinite(v.data).all()
    ]
    for constant in choice(rng, reals, n):
        value = np.nextafter(constant.data, np.inf)
        yield "constant", clone_replace(outputs, {constant: pt.constant(value, dtype="float64")})
    nodes = [v.owner for v in variables if v.owner is not None and len(v.owner.outputs) == 1]
    for node in choice(rng, [node for node in nodes if swappable(node)], n):
        swapped = node.clone_with_new_inputs([*node.inputs[1::-1], *node.inputs[2:]])
        yield "swap", clone_replace(outputs, {node.outputs[0]: swapped.outputs[0]}, rebuild_strict=False)
    for node in choice(rng, [node for node in nodes if node.outputs[0].type.dtype == "float64"], n):
        yield "sign", clone_replace(outputs, {node.outputs[0]: -node.outputs[0]}, rebuild_strict=False)
    for node in choice(
        rng, [node for node in nodes if isinstance(node.op, Elemwise) and type(node.op.scalar_op) in OTHER], n
    ):
        other = OTHER[type(node.op.scalar_op)](*node.inputs[:2])
        if other.type == node.outputs[0].type:
            yield "op", clone_replace(outputs, {node.outputs[0]: other})


OTHER = {scalar.Add: pt.sub, scalar.Sub: pt.add, scalar.Mul: pt.add, scalar.Exp: pt.sin, scalar.Log: pt.exp}
OTHER |= {scalar.GE: pt.gt, scalar.GT: pt.ge, scalar.LE: pt.lt, scalar.LT: pt.le}


def swappable(node: Apply) -> bool:
    a, b = [*node.inputs, None, None][:2]
    return isinstance(node.op, Elemwise) and b is not None and a.type == b.type and not equal_computations([a], [b])


def choice(rng: np.random.Generator, items: list, n: int) -> list:
    items = list(dict.fromkeys(items))
    return [items[i] for i in rng.permutation(len(items))[:n]]


QUICK = ("zoo counts", "zoo covariance", "zoo scan", "zoo transforms")


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in ALL if name not in QUICK)]
)
def test_one_change_anywhere_changes_it(name):
    graph, rng = from_pymc(build(name)), np.random.default_rng(20261124)
    found = {digest(graph): "nothing"}
    for what, (logp, *rest) in mutants(graph, rng, 5):
        nodes = {key: Node(variable, None) for key, variable in zip(graph.computed(), rest, strict=True)}
        mutant = digest(replace(graph, logp=logp, expanded=graph.expanded | nodes))
        assert mutant not in found, f"{what} gives what {found.get(mutant)} gave"
        found[mutant] = what
    assert len(found) > 5
