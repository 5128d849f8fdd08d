"""What the tests of operations written in place share: graphs as functions, values of each dtype, layouts."""

import numpy as np
from pytensor.compile.mode import Mode
from pytensor.gradient import grad
from pytensor.graph.fg import FunctionGraph
from pytensor.link.numba.dispatch.basic import numba_njit

from nutmill.model.graphs.start import evaluate
from nutmill.model.lowering.inline import graph_function, linked_function
from nutmill.model.lowering.slots import declare_slots
from nutmill.model.rewriting.rewrite import rewrite
from nutmill.model.rewriting.stable import simplify

# PyTensor's interpreter without rewrites: nothing that nutmill does to a graph happens here, and nothing is compiled.
INTERPRETED = Mode(linker="py", optimizer=None)

DTYPES = ("float64", "float32", "int64", "int32", "int8", "uint8", "bool")


def inlined(inputs, outputs, compiler=graph_function):
    """Compile a graph as it is, without rewrites: a function of arrays to the tuple of outputs."""
    graph = compiler(FunctionGraph(list(inputs), list(outputs), clone=True))
    # The same function with a wrapper for Python: one around it would be compiled beside it.
    return numba_njit(graph.py_func, final_function=True)


def linked(inputs, outputs):
    """Compile a graph as it is in PyTensor's Numba forms."""
    return inlined(inputs, outputs, linked_function)


def density_function(logp, inputs):
    """Compile a log density and its gradients as those of a model are: simplified before gradients, rewritten after."""
    declare_slots()
    stable = simplify(logp)
    outputs = [stable, *grad(stable, inputs, disconnected_inputs="ignore")]
    return numba_njit(graph_function(rewrite(inputs, [], outputs, hoist=False).fgraph).py_func, final_function=True)


def interpreted(inputs, outputs, arrays):
    """Evaluate a graph in PyTensor's interpreter, on copies."""
    with np.errstate(all="ignore"):
        return evaluate(inputs, [array.copy() for array in arrays], outputs)


def assert_same(found, expected, names=None, rtol=None):
    """Compare values, dtypes and shapes: floating point to `rtol`, all others exactly."""
    assert len(found) == len(expected)
    for i, (one, other) in enumerate(zip(found, expected, strict=True)):
        name, one, other = names[i] if names else i, np.asarray(one), np.asarray(other)
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
        if one.dtype.kind == "f" and rtol != 0:
            tolerance = rtol or (1e-13 if one.dtype == np.float64 else 1e-6)
            np.testing.assert_allclose(one, other, rtol=tolerance, err_msg=str(name))
        else:
            np.testing.assert_array_equal(one, other, err_msg=str(name))


def assert_agrees(inputs, outputs, *points, names=None, rtol=None):
    """Compile once and compare with the interpreter at points, each a list of arrays."""
    function = inlined(inputs, outputs)
    for point in points:
        assert_same(function(*point), interpreted(inputs, outputs, point), names, rtol)
    return function


def extremes(dtype):
    """Values of a dtype that differ in kind."""
    if dtype == "bool":
        return np.array([True, False, True, True, False, False, True, False])
    if dtype.startswith("float"):
        return np.array([0.0, -0.0, 1.5, -2.5, np.nan, np.inf, -np.inf, 7.0], dtype)
    if dtype == "uint8":
        return np.array([0, 1, 2, 5, 200, 255, 3, 128], dtype)
    return np.array([0, 1, -1, 5, -7, 127, -128, 2], dtype)


def everywhere(array, *, columns=False):
    """The same array laid out by rows, with gaps, backwards, and, a type of its own to Numba, by columns."""
    gaps = np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array
    layouts = {"rows": np.ascontiguousarray(array), "gaps": gaps, "backwards": np.flip(np.flip(array).copy())}
    return layouts | ({"columns": np.asfortranarray(array)} if columns else {})
