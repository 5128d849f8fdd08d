"""Tables of a few columns are computed column by column, with the values of the interpreter; others stay."""

import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import assert_same, interpreted
from pytensor.graph.fg import FunctionGraph
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.tensor.elemwise import Elemwise

from nutmill.model.lowering.inline import graph_function
from nutmill.model.rewriting.rows.columns import compute_by_columns

pytestmark = pytest.mark.usefixtures("optimised_on_one_line")

ROWS = 17
X, ROW, Y = pt.vector("x"), pt.vector("row", shape=(3,)), pt.matrix("y")
TABLE = pt.exp(X[:, None] * ROW - 0.5 * ROW**2)


def tables_left(outputs, arrays=None):
    """Rewrite a graph, compare its values with the interpreter's, and count what is computed of tables after."""
    inputs = [X, ROW, Y]
    rng = np.random.default_rng(1)
    arrays = arrays or [rng.normal(size=ROWS), rng.normal(size=3), rng.normal(size=(ROWS, 3))]
    fgraph = FunctionGraph(inputs, outputs, clone=True)
    compute_by_columns.rewrite(fgraph)
    function = numba_njit(graph_function(fgraph).py_func, final_function=True)
    assert_same(function(*arrays), interpreted(inputs, outputs, arrays), rtol=1e-12)
    loops = [node for node in fgraph.apply_nodes if isinstance(node.op, Elemwise)]
    return sum(node.outputs[0].type.ndim == 2 and not any(node.outputs[0].type.broadcastable) for node in loops)


@pytest.mark.parametrize(
    "outputs",
    [
        [TABLE.sum(axis=1)],
        [TABLE.sum(axis=0), TABLE.max(axis=1), TABLE.sum()],
        [(TABLE / TABLE.sum(axis=1, keepdims=True)).prod(axis=1)],
        [pt.log(pt.exp(TABLE - TABLE.max(axis=1)[:, None]).sum(axis=1)).sum(), pt.grad(TABLE.sum(1).sum(), ROW)],
        [pt.all(TABLE > 0.5, axis=1), pt.any(TABLE > 0.5, axis=0), pt.lt(TABLE, 1.0).sum(axis=1)],
        [pt.join(1, TABLE, X[:, None]).min(axis=1), pt.join(1, pt.exp(X)[:, None], TABLE).sum(axis=0)],
        [(Y * TABLE).sum(axis=1), (Y * ROW).sum(axis=0)],
    ],
    ids=["row sums", "column sums", "shares", "log-sum-exp", "truth", "side by side", "open columns"],
)
def test_what_is_reduced_along_an_axis_has_no_tables(outputs):
    assert tables_left(outputs) == 0


def test_what_others_read_is_put_together():
    assert tables_left([TABLE, TABLE.sum(axis=1), (TABLE * 2.0)[::-1]]) == 0


@pytest.mark.parametrize(
    "outputs", [[TABLE], [TABLE.sum()], [(Y * 2.0).sum(axis=1)]], ids=["kept", "summed as a whole", "open"]
)
def test_other_tables_stay(outputs):
    assert tables_left(outputs) > 0


def test_not_a_number_and_no_rows():
    outputs = [TABLE.max(axis=1), TABLE.sum(axis=0)]
    tables_left(outputs, [np.array([1.0, np.nan, np.inf]), np.array([0.5, np.nan, -1.0]), np.zeros((3, 3))])
    tables_left(outputs, [np.zeros(0), np.ones(3), np.zeros((0, 3))])


def test_columns_that_are_not_as_many_are_refused():
    """A table that data give has as many columns as what it meets; more of them must not be left out."""
    fgraph = FunctionGraph([X, ROW, Y], [(Y * ROW).sum(axis=1)], clone=True)
    compute_by_columns.rewrite(fgraph)
    function = numba_njit(graph_function(fgraph).py_func, final_function=True)
    with pytest.raises(AssertionError):
        function(np.ones(4), np.ones(3), np.ones((4, 5)))


def test_columns_are_moved():
    wide = pt.join(1, pt.zeros((X.shape[0], 1)), TABLE, pt.ones((X.shape[0], 1)))
    steps = wide[:, 1:] - wide[:, :-1]
    parts = pt.split(steps, [1, 3], n_splits=2, axis=1)
    zeros = pt.zeros((X.shape[0], 5))
    placed = pt.inc_subtensor(pt.set_subtensor(zeros[:, 1:], steps)[:, :-1], -steps)
    backwards = (steps[:, ::-1] * 2.0).sum(axis=0)
    outputs = [steps.sum(axis=1), parts[1].sum(axis=0), parts[0].sum(axis=1), placed.sum(axis=0), placed, backwards]
    assert tables_left(outputs) == 0
