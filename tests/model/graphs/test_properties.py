"""Properties of operations that nutmill's forms do not know: the table is whole, and such operations go to Numba's."""

import logging

import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import assert_same, inlined
from pytensor.graph.traversal import explicit_graph_inputs
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_and_cache_key
from pytensor.raise_op import CheckAndRaise
from pytensor.scalar.basic import Composite, exp, upgrade_to_float
from pytensor.tensor import basic
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.sort import ArgSortOp, SortOp
from pytensor.tensor.special import Softmax
from pytensor.tensor.subtensor import AdvancedIncSubtensor, AdvancedSubtensor, IncSubtensor

from nutmill import compile_model
from nutmill.model import compat
from nutmill.model.graphs.properties import KNOWN
from nutmill.model.lowering.inline.writers import REPEATING, WRITERS
from nutmill.model.rewriting.blas.lean import _LEAN
from nutmill.model.rewriting.blas.ops import LeanOp
from nutmill.model.rewriting.branchfree_rewrites import BranchFree
from nutmill.model.rewriting.fusion import FusedLoop
from nutmill.model.rewriting.rewrite import rewrite
from nutmill.model.rewriting.softmax import _EXPANSIONS

IS_NEW = compat.AdvancedSubtensor1 is AdvancedSubtensor
ONLY_NEW = {
    IncSubtensor: {"destroyhandler_tolerate_aliased"},
    basic.Join: {"axis"},
    basic.Split: {"axis"},
    basic.AllocDiag: {"offset", "axis1", "axis2"},
    AdvancedSubtensor: {"idx_list"},
    AdvancedIncSubtensor: {"idx_list"},
    compat.Eigh: {"lower", "overwrite_a", "overwrite_b", "driver"},
    compat.Eigvalsh: {"overwrite_a", "overwrite_b"},
    compat.Expm: {"overwrite_a"},
    SortOp: {"axis"},
    ArgSortOp: {"axis"},
}
ONLY_OLD = {compat.Eigh: {"UPLO"}}
OF_PYMC = {CheckAndRaise: {"can_be_replaced_by_ninf"}}

# Bases that nobody makes an operation of.
ABSTRACT = {"ScalarInnerGraphOp: fgraph", "NonZeroDimsCAReduce: initial", "MaxAndMinCAReduce: initial"}


def with_forms_of_ours():
    kinds = {*WRITERS, *REPEATING, *_LEAN, *_EXPANSIONS, Blockwise}
    return sorted((kind for kind in kinds if not kind.__module__.startswith("nutmill")), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", with_forms_of_ours(), ids=lambda kind: kind.__name__)
def test_the_table_is_what_this_pytensor_has(kind):
    elsewhere = OF_PYMC.get(kind, set()) | (ONLY_OLD if IS_NEW else ONLY_NEW).get(kind, set())
    assert kind in KNOWN, "say in graphs/properties.py which properties the form of this operation knows"
    assert set(getattr(kind, "__props__", None) or ()) == set(KNOWN[kind]) - elsewhere


def test_no_operation_of_pytensor_or_pymc_is_unknown():
    """A subclass has properties of its own, as maxima of PyTensor 3 have; those that nutmill knows are in the table."""
    import pymc  # noqa: F401  it derives operations

    def below(kind):
        for derived in kind.__subclasses__():
            yield derived
            yield from below(derived)

    unknown = {
        f"{derived.__name__}: {name}"
        for kind in KNOWN
        for derived in below(kind)
        if derived.__module__.startswith(("pytensor", "pymc"))
        for name in set(getattr(derived, "__props__", None) or ())
        - {known for base in derived.__mro__ for known in KNOWN.get(base, ())}
    }
    assert not unknown - ABSTRACT


class Shifted(basic.Alloc):
    """An `Alloc` of a later release, which adds its new property to what it fills an array with."""

    __props__ = ("shift",)

    def __init__(self, shift):
        self.shift = shift


class Scaled(type(exp)):
    """An exponential of a later release, which multiplies by its new property."""

    __props__ = ("factor",)

    def __init__(self, factor):
        super().__init__(upgrade_to_float, name="scaled")
        self.factor = factor

    def impl(self, x):
        return self.factor * np.exp(x)


@register_funcify_and_cache_key(Shifted)
def _shifted(op, node=None, **_):
    shift = op.shift
    return numba_njit(lambda value, length: np.full(length.item(), value.item() + shift)), None


@register_funcify_and_cache_key(Scaled)
def _scaled(op, node=None, **_):
    factor = op.factor
    return numba_njit(lambda x: factor * np.exp(x)), None


def test_an_operation_with_an_unknown_property_is_what_pytensor_makes_of_it(caplog):
    """The form of its class would pass over the property without a word."""
    x = pt.vector("x")
    outputs = [Shifted(2.0)(x[1], 4), Elemwise(Scaled(3.0))(x) + x]
    array = np.arange(3.0)
    with caplog.at_level(logging.INFO, logger="nutmill"):
        function = inlined([x], outputs)
    assert_same(function(array), [np.full(4, 3.0), 3.0 * np.exp(array) + array])
    said = [record.message for record in caplog.records if "does not know its" in record.message]
    assert len(said) == 2 and "shift" in said[0] + said[1] and "factor" in said[0] + said[1]
    inlined([x], outputs)
    assert len([record for record in caplog.records if "does not know its" in record.message]) == 2


def density():
    """A density of a few operations that rewrites of ours replace: factors, indexed rows, sums, softmax, sigmoid."""
    rng = np.random.default_rng(4)
    x = pt.vector("x", shape=(4,))
    rows = x[pt.constant(rng.integers(0, 4, 9))]
    matrix = pt.outer(x, x) + 3.0 * pt.eye(4)
    factor = pt.linalg.cholesky(matrix)
    return -pt.sqr(rows).sum() + pt.log(pt.diag(factor)).sum() + pt.special.softmax(x)[1] + pt.sigmoid(x).max()


@pytest.fixture
def planted(monkeypatch):
    """Operations of PyTensor have a property more than nutmill knows."""

    def plant():
        for kind in (Elemwise, Softmax, *_LEAN, *compat.TAKING):
            props = getattr(kind, "__props__", None) or ()
            monkeypatch.setattr(kind, "__props__", (*props, "planted"), raising=False)
            monkeypatch.setattr(kind, "planted", None, raising=False)

    return plant


def ours(output):
    """Kinds of operations of ours in a rewritten graph: loops, linear algebra, functions without branches."""
    fgraph = rewrite(list(explicit_graph_inputs([output])), [], [output], hoist=False).fgraph
    ops = [node.op for node in fgraph.apply_nodes]
    ops += [op.scalar_op for op in ops if hasattr(op, "scalar_op")]
    ops += [part.op for op in ops if isinstance(op, Composite) for part in op.fgraph.apply_nodes]
    return {kind for kind in (FusedLoop, LeanOp, BranchFree) for op in ops if isinstance(op, kind)}


def test_rewrites_leave_unknown_properties_where_they_are(planted):
    assert ours(density()) == {FusedLoop, LeanOp, BranchFree}
    planted()
    assert ours(density()) == set()


@pytest.mark.usefixtures("compiled_anew")
@pytest.mark.slow
def test_values_do_not_hang_on_who_writes_an_operation(planted):
    position = np.array([0.3, -0.4, 1.2, 0.1])
    expected = compile_model(density()).logp_dlogp(position)
    planted()
    value, gradient = compile_model(density(), fuse=False).logp_dlogp(position)
    assert value == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-11)
