"""Sums of rows by an index that are needed alone and as terms: computed once, with the values of the interpreter."""

import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import assert_same, interpreted
from pytensor.graph.fg import FunctionGraph
from pytensor.link.numba.dispatch.basic import numba_njit

from nutmill.model.compat import CHANGING
from nutmill.model.lowering.inline import graph_function
from nutmill.model.rewriting.rows.scatters import share_sums

pytestmark = pytest.mark.usefixtures("optimised_on_one_line")

RNG = np.random.default_rng(1)
BASE, ROWS, INDEX = pt.vector("base"), pt.vector("rows"), pt.lvector("index")


def added(base, rows=ROWS):
    return pt.inc_subtensor(base[INDEX], rows)


def shared(outputs):
    fgraph = FunctionGraph([BASE, ROWS, INDEX], outputs, clone=True)
    share_sums.rewrite(fgraph)
    arrays = [RNG.normal(size=4), RNG.normal(size=9), RNG.integers(-4, 4, 9)]
    function = numba_njit(graph_function(fgraph).py_func, final_function=True)
    assert_same(function(*arrays), interpreted([BASE, ROWS, INDEX], outputs, arrays), rtol=1e-12)
    return sum(isinstance(node.op, CHANGING) for node in fgraph.apply_nodes)


def test_sums_are_computed_once():
    zeros = pt.zeros((BASE.shape[0],))
    assert shared([added(zeros).sum(), added(BASE), added(2.0 * BASE)]) == 1


@pytest.mark.parametrize(
    "outputs",
    [
        [added(BASE), added(2.0 * BASE)],
        [added(pt.zeros((BASE.shape[0],))), added(BASE, 2.0 * ROWS)],
        [added(pt.zeros((BASE.shape[0],))), pt.set_subtensor(BASE[INDEX[:1]], ROWS[:1])],
    ],
    ids=["none alone", "other rows", "not added"],
)
def test_what_is_not_the_same_sums_stays(outputs):
    assert shared(outputs) == 2
