"""Basic indexing in place: every slice and index as Python has them, and parts of arrays that are set or added to."""

from itertools import product

import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import assert_agrees, assert_same, everywhere, inlined, interpreted
from pytensor.tensor.subtensor import IncSubtensor

pytestmark = pytest.mark.usefixtures("optimised_on_one_line")

ENDS = range(-4, 5)
FAR = (2**63 - 1, -(2**63), 2**62)
STEPS = (1, 2, -1, -2)
OUT_OF_RANGE = "out of range"


def test_slices_with_ends_at_run_time():
    x, start, stop = pt.lvector(), pt.lscalar(), pt.lscalar()
    slices = [(a, b, step) for step in STEPS for a in (start, None) for b in (stop, None)]
    function = inlined([x, start, stop], [x[slice(*entry)] for entry in slices])
    for n, a, b in product(range(5), (*ENDS, *FAR), (*ENDS, *FAR)):
        values = np.arange(n)
        at = {start: a, stop: b, None: None}
        expected = [values[at[s] : at[t] : step] for s, t, step in slices]
        assert_same(function(values, np.array(a), np.array(b)), expected, [(n, a, b)] * len(slices))


def test_slices_with_constant_ends():
    x = pt.lvector()
    ends = [None, -4, -2, 0, 1, 3]
    chosen = np.random.default_rng(1).permutation(list(product(ends, ends, STEPS)))[:24]
    function = inlined([x], [x[slice(*entry)] for entry in chosen])
    for n in range(5):
        assert_same(function(np.arange(n)), [np.arange(n)[slice(*entry)] for entry in chosen], list(map(str, chosen)))


def test_integers_of_every_dtype_and_out_of_range():
    x, at, small = pt.matrix(), pt.lscalar(), pt.scalar(dtype="int8")
    function = inlined([x, at, small], [x[at], x[:, small], x[at, small], x[small, at:]])
    values = np.arange(12.0).reshape(3, 4)
    for i, j in product(range(-3, 3), range(-3, 3)):
        expected = [values[i], values[:, j], values[i, j], values[j, i:]]
        for layout in everywhere(values, columns=True).values():
            assert_same(function(layout, np.array(i), np.array(j, "int8")), expected, [(i, j)] * 4)
    for i, j in [(3, 0), (-4, 0), (0, 4), (0, -5), (2**62, 0), (-(2**63), 0), (0, 127), (0, -128)]:
        with pytest.raises(IndexError, match=OUT_OF_RANGE):
            function(values, np.array(i), np.array(j, "int8"))
    with pytest.raises(IndexError, match=OUT_OF_RANGE):
        inlined([x], [x[5]])(values)
    with pytest.raises(IndexError, match=OUT_OF_RANGE):
        inlined([x], [x[-1]])(values[:0])


def test_several_axes_in_every_layout():
    x, i, j = pt.tensor3(), pt.lscalar(), pt.lscalar()
    parts = [np.s_[i], np.s_[i, j], np.s_[:, i], np.s_[..., j], np.s_[i:, ::-1, j], np.s_[:, :, ::2], np.s_[1:]]
    parts += [np.s_[::-1, ::-1, ::-1], np.s_[i, :, j], np.s_[i:j, 1:], np.s_[:, i:], np.s_[j, i], np.s_[i, j, 0]]
    parts += [np.s_[i:, j:, 1::2], np.s_[:0], np.s_[i, 1:, ::2]]
    # Views of views, added so that strides matter.
    views = [x[part] for part in parts]
    outputs = [*views, views[4][::-1].T + 1.0, views[5][i] * 2.0, views[6].T[0], pt.sum(views[7][1:], axis=1)]
    function = inlined([x, i, j], outputs)
    values = np.random.default_rng(2).normal(size=(3, 4, 5))
    for a, b in [(0, 1), (1, 2), (-1, -2)]:
        at = [np.array(a), np.array(b)]
        expected = interpreted([x, i, j], outputs, [values, *at])
        for layout in everywhere(values).values():
            found = function(layout, *at)
            assert_same(found, expected)
            assert np.shares_memory(found[0], layout) and np.shares_memory(found[4], layout)


def test_axes_of_length_one_and_steps_at_run_time():
    column, x, step = pt.col(), pt.vector(), pt.lscalar()
    outputs = [column[1:], column[:, 0], column[::-1, 0:1], x[::step], x[::-step]]
    for n in (2, -3):
        assert_agrees([column, x, step], outputs, [np.arange(4.0)[:, None], np.arange(9.0), np.array(n)])


def written(x, part, value, *, add, inplace):
    """A part of `x` set or added to, by the op itself: with `inplace` as PyTensor's rewrites make it."""
    node = (pt.inc_subtensor if add else pt.set_subtensor)(x[part], value).owner
    options = {"inplace": inplace, "set_instead_of_inc": not add}
    return IncSubtensor(node.op.idx_list, **options)(*node.inputs)


class TestWriting:
    """Set and add: rows, columns, numbers, values that are repeated, backwards, nothing."""

    i = pt.lscalar()
    x, whole, row, column, line, number = pt.matrix(), pt.matrix(), pt.row(), pt.col(), pt.vector(), pt.scalar()
    cases = ((np.s_[:], line), (np.s_[i:], whole[i:]), (np.s_[1:], row), (np.s_[:, 1:3], column))
    cases += ((np.s_[i, 2], number), (np.s_[::-1, ::2], whole[:, ::2]), (np.s_[2:1], number))
    cases += ((np.s_[i, ::-1], pt.cast(line, "int8")), (np.s_[:, -1], 2.5))
    inputs = (i, x, whole, row, column, line, number)

    @pytest.fixture(scope="class", params=[False, True], ids=["set", "add"])
    def copying(self, request):
        outputs = [written(self.x, part, value, add=request.param, inplace=False) for part, value in self.cases]
        return outputs, inlined(self.inputs, outputs)

    def at(self, i):
        rng = np.random.default_rng(3)
        shapes = [(3, 4), (3, 4), (1, 4), (3, 1), (4,), ()]
        return [np.array(i), *(np.array(10.0 * rng.normal(size=shape)) for shape in shapes)]

    @pytest.mark.parametrize("i", [0, 2, -1])
    def test_copied(self, copying, i):
        outputs, function = copying
        at = self.at(i)
        before = at[1].copy()
        expected = interpreted(self.inputs, outputs, at)
        layouts = [at[1], np.repeat(at[1], 2, axis=0)[::-2][::-1]]
        for layout in layouts if i == 0 else layouts[:1]:
            at[1] = layout
            found = function(*at)
            assert_same(found, expected)
            assert_same([layout], [before])
            assert not any(np.shares_memory(array, layout) for array in found)

    def test_in_place(self):
        result = self.x
        for number, (part, value) in enumerate(self.cases):
            result = written(result, part, value, add=number % 3 != 0, inplace=True)
        plain = self.x
        for number, (part, value) in enumerate(self.cases):
            plain = written(plain, part, value, add=number % 3 != 0, inplace=False)
        function = inlined(self.inputs, [result])
        expected = interpreted(self.inputs, [plain], self.at(1))
        for name in everywhere(np.zeros((3, 4))):
            at = self.at(1)
            at[1] = everywhere(at[1])[name]
            found = function(*at)
            assert_same(found, expected, rtol=1e-12)
            assert_same([at[1]], expected, rtol=1e-12)
            assert found[0].ctypes.data == at[1].ctypes.data

    def test_index_out_of_range(self, copying):
        with pytest.raises(IndexError, match=OUT_OF_RANGE):
            copying[1](*self.at(3))


def test_values_that_turn_out_to_have_length_one_are_repeated():
    x, line, whole = pt.matrix(), pt.vector(), pt.matrix()
    outputs = [pt.set_subtensor(x[1:], line), pt.inc_subtensor(x[:, 1:], whole), pt.inc_subtensor(x[::-1], whole)]
    ones = [np.arange(12.0).reshape(3, 4), np.array([7.0]), np.array([[9.0]])]
    function = assert_agrees([x, line, whole], outputs[:2], ones)
    function = assert_agrees([x, whole], outputs[2:], [ones[0], np.arange(3.0)[:, None]], [ones[0], np.ones((1, 4))])
    for shape in [(2, 4), (3, 3), (0, 4), (4, 1)]:
        with pytest.raises(ValueError, match="does not fit"):
            function(ones[0], np.ones(shape))


def test_writing_to_other_dtypes():
    counts, single, flags, y = pt.lvector(), pt.vector(dtype="float32"), pt.vector(dtype="bool"), pt.bvector()
    outputs = [pt.set_subtensor(counts[1:], y), pt.inc_subtensor(counts[::-2], y[:2]), pt.inc_subtensor(single[:3], y)]
    outputs += [
        pt.set_subtensor(flags[:1], np.array(True)),
        pt.inc_subtensor(y[1:], y[:-1]),
        pt.set_subtensor(y[1], 100),
    ]
    at = [np.arange(4), np.arange(4.0, dtype="float32"), np.zeros(4, bool), np.array([100, -128, 50], "int8")]
    assert_agrees([counts, single, flags, y], outputs, at)


def test_length_that_does_not_fit():
    x, y = pt.vector(), pt.vector()
    function = inlined([x, y], [pt.set_subtensor(x[1:], y)])
    assert_same(function(np.zeros(3), np.ones(2)), [np.array([0.0, 1.0, 1.0])])
    for n in (3, 0):
        with pytest.raises(ValueError, match="does not fit"):
            function(np.zeros(3), np.ones(n))
