"""One element of each row, taken or added to: sums of rows that are zero elsewhere, with the interpreter's values."""

from functools import cache

import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import assert_same, interpreted
from pytensor.graph.fg import FunctionGraph
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.tensor.rewriting.shape import ShapeFeature
from pytensor.tensor.shape import Shape_i

from nutmill.model.compat import CHANGING, TAKING
from nutmill.model.lowering.inline import graph_function
from nutmill.model.rewriting.rows.choices import choose_by_sums
from nutmill.model.rewriting.rows.columns import compute_by_columns

ROWS = 11
X, ROW, WHICH = pt.vector("x"), pt.vector("row", shape=(3,)), pt.lvector("which")
TABLE = pt.exp(X[:, None] * ROW)
N = Shape_i(0)(X)  # as PyTensor writes lengths once it has rewritten them
ALL = pt.arange(N)
ONE_ROW = pt.exp(ROW)[None, :]
TAKEN = TABLE[ALL, WHICH]
ARRAYS = [np.linspace(-1.0, 1.0, ROWS), np.array([0.5, -0.5, 1.0]), np.arange(ROWS) % 3]


def rewritten(outputs):
    """Rewrite a graph; returns it and a function that is compiled of it."""
    fgraph = FunctionGraph([X, ROW, WHICH], outputs, clone=True, features=[ShapeFeature()])
    choose_by_sums.rewrite(fgraph)
    n_left = sum(isinstance(node.op, (*TAKING, *CHANGING)) for node in fgraph.apply_nodes)
    compute_by_columns.rewrite(fgraph)
    return n_left, numba_njit(graph_function(fgraph).py_func, final_function=True)


@cache
def chosen():
    """Everything that is chosen by sums, and a function of it."""
    zeros = pt.zeros((N, 3))
    outputs = [
        TAKEN,
        TABLE[ALL[:, None], WHICH[:, None]],
        pt.inc_subtensor(zeros[ALL, WHICH], X),
        pt.inc_subtensor(TABLE[ALL[:, None], WHICH[:, None]], X[:, None]).sum(axis=0),
        pt.grad(pt.log(TAKEN).sum(), ROW),
    ]
    return outputs, *rewritten(outputs)


@cache
def taken():
    """A function of the elements that are taken."""
    return rewritten([TAKEN])[1]


@pytest.mark.parametrize("which", [ARRAYS[2], ARRAYS[2] - 3], ids=["from the first", "from the last"])
def test_one_element_of_each_row(which):
    outputs, n_left, function = chosen()
    assert n_left == 0
    arrays = [*ARRAYS[:2], which]
    assert_same(function(*arrays), interpreted([X, ROW, WHICH], outputs, arrays), rtol=1e-12)


def test_what_is_not_taken_does_not_count():
    arrays = [np.ones(2), np.array([np.nan, 1.0, np.inf]), np.array([1, 1])]
    np.testing.assert_allclose(taken()(*arrays)[0], np.exp([1.0, 1.0]))


@pytest.mark.parametrize("which", [3, -4])
def test_no_such_column_is_refused(which):
    with pytest.raises(IndexError, match="out of range"):
        taken()(np.ones(2), np.ones(3), np.array([0, which]))


@pytest.mark.parametrize(
    "output",
    [
        TABLE[pt.arange(WHICH.shape[0]), WHICH],
        TABLE[WHICH, WHICH],
        TABLE[ALL[::-1], WHICH],
        pt.set_subtensor(TABLE[ALL, WHICH], 1.0),
        pt.inc_subtensor(TABLE[ALL, WHICH], 1.0),
        ONE_ROW[np.zeros((1, 1), int), WHICH[:, None]],
        pt.inc_subtensor(pt.zeros((1, 3))[np.zeros((1, 1), int), WHICH[:, None]], X[:, None]),
    ],
    ids=["other rows", "any rows", "backwards", "set", "a number added", "of one row", "added to one row"],
)
def test_others_stay(output):
    n_left, function = rewritten([output])
    assert n_left == 1
    arrays = [*ARRAYS[:2], ARRAYS[2][:ROWS]]
    assert_same(function(*arrays), interpreted([X, ROW, WHICH], [output], arrays), rtol=1e-12)
