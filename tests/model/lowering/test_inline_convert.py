"""Small arrays on the stack: none of them leaves its function, and numbers are given back where that is asked."""

import gc

import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import assert_same, inlined, interpreted
from numba.core.runtime import _nrt_python, rtsys
from pytensor.graph.fg import FunctionGraph
from pytensor.ifelse import ifelse
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.shape import specify_shape

from nutmill.model.lowering.inline import graph_program
from nutmill.model.lowering.inline.steps import program_function

pytestmark = pytest.mark.usefixtures("optimised_on_one_line")

OTHER = 1e6
IN_PLACE = ((0, 0),)


def outputs_of(x, vector, pattern=()):
    """Outputs that are small arrays, or views of them, by name; one works in place as `pattern` says."""
    made = pt.exp(x)
    pair = pt.stack([made, x])
    in_place = Elemwise((x + x).owner.op.scalar_op, inplace_pattern=dict(pattern))(pt.exp(x + 1.0), x)
    return {
        "made": made,
        "with an axis": made.dimshuffle("x"),
        "twice": made.dimshuffle("x").dimshuffle("x", 0),
        "a part": pair[::-1],
        "an element": pair[1],
        "a row": pt.stack([pair, pair])[0],
        "declared": specify_shape(pair, (2,)),
        "changed": pt.set_subtensor(pair[0], 3.0),
        "reshaped": pair.reshape((2, 1)),
        "chosen": ifelse(x > 0.0, pair, pair * 2.0),
        "in place": in_place,
        "in place, with an axis": in_place.dimshuffle("x"),
        "summed": (vector * x).sum().dimshuffle("x"),
        "length": vector.shape[0].dimshuffle("x"),
        "made again": made,
        "an input": vector,
        "constant": pt.constant([1.0, 2.0]),
        # Numba gives a list, of which one element is not needed.
        "from a list": pt.split(vector * 2.0, [1, 2], n_splits=2)[1],
    }


def test_what_is_returned_is_not_on_the_stack():
    x, vector = pt.dscalar(), pt.vector()
    named = outputs_of(x, vector)
    names, outputs = list(named), list(named.values())
    function = inlined([x, vector], list(outputs_of(x, vector, IN_PLACE).values()))
    arrays = [np.array(0.5), np.arange(3.0)]
    found = function(*arrays)
    for _ in range(3):  # whoever uses the stack next writes over what was there
        function(np.array(OTHER), np.full(3, OTHER))
    assert_same(found, interpreted([x, vector], outputs, arrays), names)


def test_each_output_alone_is_not_on_the_stack():
    x, vector = pt.dscalar(), pt.vector()
    arrays = [np.array(0.5), np.arange(3.0)]
    for name in ("with an axis", "a part", "a row", "declared", "in place, with an axis", "summed"):
        outputs = [outputs_of(x, vector)[name]]
        function = inlined([x, vector], [outputs_of(x, vector, IN_PLACE)[name]])
        (found,) = function(*arrays)
        function(np.array(OTHER), np.full(3, OTHER))
        assert_same([found], interpreted([x, vector], outputs, arrays), [name])


def with_numbers(inputs, outputs):
    program = graph_program(FunctionGraph(list(inputs), list(outputs), clone=True), numbers=True)
    write = program_function(program)
    return numba_njit(lambda *inputs: write(*inputs), final_function=True)


def test_final_outputs_without_axes_are_numbers():
    x, vector = pt.dscalar(), pt.vector()
    read = pt.exp(x)
    outputs = [(vector * x).sum(), read, read + vector, vector * 2.0]
    found = with_numbers([x, vector], outputs)(np.array(0.5), np.arange(3.0))
    assert isinstance(found[0], float)
    assert isinstance(found[1], np.ndarray)
    assert_same(found, interpreted([x, vector], outputs, [np.array(0.5), np.arange(3.0)]))


def test_an_output_that_is_an_input_stays_one():
    x = pt.dscalar()
    found = with_numbers([x], [x, pt.exp(x)])(np.array(0.5))
    assert_same(found, [np.array(0.5), np.exp(0.5)])


def test_memory_is_given_back():
    x, vector = pt.dscalar(), pt.vector()
    outputs = list(outputs_of(x, vector, IN_PLACE).values())
    functions = [inlined([x, vector], outputs), with_numbers([x, vector], outputs)]
    arrays = [np.array(0.5), np.arange(3.0)]
    _nrt_python.memsys_enable_stats()
    try:
        for function in functions:
            function(*arrays)
            gc.collect()
            before = rtsys.get_allocation_stats()
            for _ in range(50):
                function(*arrays)
            gc.collect()
            after = rtsys.get_allocation_stats()
            assert after.alloc - before.alloc == after.free - before.free > 0
    finally:
        _nrt_python.memsys_disable_stats()
