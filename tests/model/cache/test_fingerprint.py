"""Fingerprints: two models share one only if the same code serves both, and every process gives the same."""

import itertools
import json
import os
import re

import numba
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from processes import output_of, start
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Apply, Constant
from pytensor.graph.op import Op
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.graph.traversal import ancestors
from pytensor.raise_op import Assert
from pytensor.scalar import basic as scalar
from pytensor.tensor.elemwise import Elemwise
from zoo_graphs import ALL, ZOO, build, digest

from nutmill.model.cache.fingerprint import fingerprint
from nutmill.model.graphs.densities import from_njit, from_pytensor
from nutmill.model.graphs.graph import ModelGraph
from nutmill.model.graphs.pymc_model import from_pymc

OF_THE_ZOO = [name for name in ALL if name.startswith("zoo ")]


@pytest.fixture(scope="module")
def graphs() -> dict[str, ModelGraph]:
    return {name: from_pymc(build(name)) for name in ALL}


def of_density(make, *shape: int) -> str:
    """Fingerprint of the sum of what `make` makes of a parameter."""
    return digest(from_pytensor(make(pt.tensor("x", shape=shape, dtype="float64")).sum(), {}))


def of_model(make, *arguments, **options) -> str:
    return digest(from_pymc(make(*arguments, **options)))


def test_the_zoo_is_looked_at():
    assert len(ZOO) >= 9


def test_every_two_models_differ(graphs):
    assert len({digest(graph) for graph in graphs.values()}) == len(ALL)


def test_a_model_built_again_is_the_same(graphs):
    for name in OF_THE_ZOO:
        assert digest(from_pymc(build(name))) == digest(graphs[name])


@pytest.mark.parametrize("names", [OF_THE_ZOO, pytest.param(ALL, marks=pytest.mark.slow)], ids=["zoo", "all"])
def test_another_process_agrees(graphs, names):
    """Strings hash differently in each process, so that nothing may depend on the order of a set."""
    code = f"""
import json, warnings
warnings.simplefilter("ignore")
from zoo_graphs import build, digest, from_pymc
print(json.dumps({{name: digest(from_pymc(build(name))) for name in {list(names)}}}))
"""
    expected = {name: digest(graphs[name]) for name in names}
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    assert json.loads(output_of(start(code, PYTHONHASHSEED=seed))) == expected


def test_names_within_the_graph_do_not_matter(graphs):
    for name, graph in graphs.items():
        before = digest(graph)
        variables = ancestors([graph.logp, *graph.computed().values()])
        renamed = [(variable, variable.name) for variable in variables if not isinstance(variable, Constant)]
        for number, (variable, _) in enumerate(renamed):
            variable.name = f"renamed_{number}"
        assert digest(graph) == before, name
        for variable, old in renamed:
            variable.name = old


def line(n: int, n_groups: int = 3, seed: int = 1, *, width: int = 2, report: str = "mu", extra: bool = False):
    rng = np.random.default_rng(seed)
    with pm.Model(coords={"group": range(n_groups)}) as model:
        x = pm.Data("x", rng.normal(size=(n, width)))
        level = pm.Normal("level", 0.0, 1.0, dims="group")
        beta = pm.Normal("beta", 0.0, 1.0, shape=width)
        mu = pm.Deterministic(report, level[rng.integers(0, n_groups, n)] + x @ beta)
        if extra:
            pm.Deterministic("twice", 2.0 * mu)
        pm.Normal("y", mu, 1.0, observed=rng.normal(size=n))
    return model


def test_data_do_not_matter_neither_values_nor_lengths():
    expected = of_model(line, 10)
    assert of_model(line, 10, seed=2) == expected
    assert of_model(line, 300, seed=3) == expected
    assert of_model(line, 20, 5) == expected


def test_a_length_of_one_matters_because_it_broadcasts():
    assert of_model(line, 1) != of_model(line, 2)


def test_what_is_reported_matters():
    found = [of_model(line, 10), of_model(line, 10, report="nu"), of_model(line, 10, extra=True)]
    assert len(set(found)) == 3


def one_variable(make) -> str:
    with pm.Model() as model:
        make()
    return digest(from_pymc(model))


TRANSFORMS = pm.distributions.transforms

DIFFERENT_MODELS = [
    lambda: pm.Normal("x", 0.0, 1.0),
    lambda: pm.Normal("x", 0.0, 2.0),
    lambda: pm.Normal("x", 0.0, np.nextafter(1.0, 2.0)),
    lambda: pm.Normal("x", -0.0, 1.0),
    lambda: pm.Normal("x", 1.0, 0.0),
    lambda: pm.Normal("x", 0.0, 1.0, shape=3),
    lambda: pm.Normal("x", 0.0, 1.0, shape=(3, 1)),
    lambda: pm.Normal("x", 0.0, 1.0, shape=3, transform=TRANSFORMS.ordered, initval=[0.0, 1.0, 2.0]),
    lambda: pm.Normal("x", 0.0, 1.0, transform=TRANSFORMS.log, initval=1.0),
    lambda: pm.Normal("x", 0.0, 1.0, transform=TRANSFORMS.Interval(0.0, 1.0), initval=0.5),
    lambda: pm.Normal("x", 0.0, 1.0, transform=TRANSFORMS.Interval(0.0, 2.0), initval=0.5),
    lambda: (pm.Normal("x", 0.0, 1.0), pm.Normal("y", 0.0, 1.0)),
    lambda: (pm.Normal("x", 0.0, 1.0), pm.Normal("y", 0.0, 1.0), pm.Potential("p", pt.constant(1.0))),
]

X = pt.constant(np.arange(3.0))


def folded(step, n_steps=3, **options):
    return lambda x: pytensor.scan(step, outputs_info=[x], n_steps=n_steps, return_updates=False, **options)


def boxed(body, **options):
    inner = pt.vector("inner", shape=(3,))
    op = OpFromGraph([inner], [body(inner)], **options)
    return lambda x: op(x)


def composed(body):
    inner = scalar.float64("inner")
    op = Elemwise(scalar.Composite([inner], [body(inner)]))
    return lambda x: op(x)


DIFFERENT_VECTORS = [
    *(lambda x: x, pt.exp, pt.log, lambda x: pt.exp(-x), lambda x: -pt.exp(x)),
    *(lambda x: x + x, lambda x: x * x, lambda x: pt.exp(x) - x, lambda x: x - pt.exp(x)),
    *(
        lambda x: pt.cast(x, "float32"),
        lambda x: pt.cast(x, "int64"),
        lambda x: pt.cast(pt.cast(x, "float32"), "float64"),
    ),
    *(lambda x: x[0], lambda x: x[1], lambda x: x[:2], lambda x: x[::-1], lambda x: x[[0, 1]], lambda x: x[[0]]),
    *(lambda x: pt.clip(x, 0, 1), lambda x: pt.clip(x, 0.0, 1.0), lambda x: pt.cumsum(x), lambda x: pt.cumprod(x)),
    *(
        lambda x: Assert("one")(x, x[0] > 0),
        lambda x: Assert("two")(x, x[0] > 0),
        lambda x: Assert("one")(x, x[0] >= 0),
    ),
    *(folded(lambda s: s * 2.0), folded(lambda s: s * 3.0), folded(lambda s: s + 2.0), folded(lambda s: s * 2.0, 4)),
    *(folded(lambda s: s * 2.0, truncate_gradient=2), folded(lambda s, y: s * y, non_sequences=[X])),
    *(boxed(lambda x: x * 2.0), boxed(lambda x: x * 4.0), boxed(lambda x: 2.0 * x), boxed(pt.exp)),
    *(boxed(pt.exp, inline=True), composed(lambda x: x * x), composed(lambda x: x + x), composed(scalar.exp)),
    lambda x: pt.set_subtensor(x[0], 1.0),
    lambda x: pt.inc_subtensor(x[0], 1.0),
    lambda x: pt.switch(x > 0, x, 1.0),
    lambda x: pt.switch(x > 0, 1.0, x),
]

DIFFERENT_MATRICES = [
    *(lambda x: x.sum(0), lambda x: x.sum(1), lambda x: x.sum(), lambda x: x.max(0), lambda x: x.prod(0)),
    *(lambda x: x.T, lambda x: x.dimshuffle(0, "x", 1), lambda x: x.dimshuffle("x", 0, 1), lambda x: x @ x),
    *(lambda x: pt.cumsum(x, axis=0), lambda x: pt.cumsum(x, axis=1), lambda x: pt.sum(x, axis=0, dtype="float32")),
    *(lambda x: pt.concatenate([x, 2.0 * x], axis=0), lambda x: pt.concatenate([x, 2.0 * x], axis=1)),
    *(lambda x: pt.special.softmax(x, axis=0), lambda x: pt.special.softmax(x, axis=1)),
    *(lambda x: pt.linalg.cholesky(x), lambda x: pt.linalg.cholesky(x, lower=False)),
    *(lambda x: pt.linalg.solve_triangular(x, X, lower=True), lambda x: pt.linalg.solve_triangular(x, X, lower=False)),
    *(
        lambda x: pt.diagonal(x),
        lambda x: pt.diagonal(x, offset=1),
        lambda x: x.reshape((9,)),
        lambda x: x.reshape((1, 9)),
    ),
]


def test_every_two_small_models_differ():
    found = [one_variable(make) for make in DIFFERENT_MODELS]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(("makes", "shape"), [(DIFFERENT_VECTORS, (3,)), (DIFFERENT_MATRICES, (3, 3))])
def test_every_two_expressions_differ(makes, shape):
    found = [of_density(make, *shape) for make in makes]
    clashes = [pair for pair in itertools.combinations(range(len(found)), 2) if found[pair[0]] == found[pair[1]]]
    assert clashes == []
    assert [of_density(make, *shape) for make in makes[:12]] == found[:12]


class Twice(Op):
    """An op of the user's, which no version tells apart from what it was yesterday."""

    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = 2.0 * inputs[0]


def with_gradient_of_its_own(x):
    inner = pt.vector("inner", shape=(3,))
    return OpFromGraph([inner], [2.0 * inner], lop_overrides=lambda *arguments: [arguments[-1]])(x)


REFUSED = {
    "Twice belongs to .*test_fingerprint": lambda x: Twice()(x),
    "lambda": with_gradient_of_its_own,
}


@pytest.mark.parametrize("reason", REFUSED)
@pytest.mark.filterwarnings("ignore:.*lop_overrides")
def test_what_cannot_be_told_is_refused_with_a_reason(reason):
    x = pt.vector("x", shape=(3,))
    found = fingerprint(from_pytensor(REFUSED[reason](x).sum(), {}))
    assert found.digest is None
    assert re.search(reason, found.reason), found.reason


def test_hints_to_rewrites_matter():
    """PyTensor looks for them on variables: that a matrix is triangular, for one."""
    graph = from_pytensor(pt.exp(pt.vector("x", shape=(3,))).sum(), {})
    found = {digest(graph)}
    for hint in (True, False, "lower"):
        graph.logp.tag.hint = hint
        found.add(digest(graph))
    assert len(found) == 4
    graph.logp.tag.hint = object()
    assert "cannot be told by its content" in fingerprint(graph).reason


def test_what_rewrites_have_left_on_nodes_does_not_matter():
    """A walk of vectors shares nodes with its model, on which PyTensor writes which rewrites took them out of it."""
    graph = from_pytensor((pt.vector("x", shape=(3,)) ** 2).sum(), {})
    before = digest(graph)
    graph.logp.owner.tag.removed_by = ["constant_folding"]
    assert digest(graph) == before


def test_what_was_worked_out_of_an_inner_graph_does_not_matter():
    """An operation with a graph inside, such as `diag`, keeps its shapes and which inputs move which outputs."""
    x, y = pt.vector("x", shape=(3,)), pt.vector("y", shape=(3,))
    squares = OpFromGraph([y], [y**2])(x)
    graph = from_pytensor(squares.sum(), {})
    before = digest(graph)
    pt.grad(squares.sum(), x)
    rewrite_graph(squares.shape, include=("fast_run",))
    assert digest(graph) == before


def test_an_njit_density_is_refused():
    density = numba.njit(lambda q, gradient, data: 0.0)
    assert "njit" in fingerprint(from_njit(density, 2, ())).reason


def test_what_users_put_in_the_place_of_pytensors_code_is_noticed():
    """No version tells it apart, so that nothing is cached while it is there."""
    code = """
import pymc, pytensor.link.numba.dispatch
from pytensor.compile.mode import optdb
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.link.numba.dispatch.basic import register_funcify_and_cache_key
from pytensor.scalar.basic import Exp
from nutmill.model.lowering.environment import customised
print(customised())

@node_rewriter([Exp])
def mine(fgraph, node):
    return None

optdb.register("mine", dfs_rewriter(mine), "fast_run", position=1)
print(customised())
register_funcify_and_cache_key(Exp)(lambda op, node, **_: (None, None))
print(customised())
"""
    before, rewrite, dispatch = output_of(start(code)).splitlines()
    assert before == "None"
    assert rewrite == "the rewrite mine was registered by __main__"
    assert dispatch == "the Numba form of Exp was registered by __main__"
