"""One expression or distribution, tried: compiled in a small model, and its gradient beside PyTensor's interpreter."""

import sys
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pymc as pm
import pytensor
import pytensor.sparse as sparse
import pytensor.tensor as pt
import scipy.sparse
from pytensor.graph.basic import Variable
from pytensor.graph.utils import MethodNotDefined
from pytensor.ifelse import ifelse
from pytensor.tensor import fft

import nutmill
from nutmill.errors import ModelError
from nutmill.model.graphs.start import evaluate, evaluator

OWN, NUMBA, POINTER, PYTHON = "own", "Numba", "pointer", "Python"
REFUSED, MISSING, WRONG, FAILED = "refused", "missing", "WRONG", "failed"
# Values and gradients of one computation in another order; PyTensor's own series stop at 1e-8.
_CLOSE = 1e-6
_X, _M = np.array([0.62, 0.21, 0.83, 0.44]), np.array([[0.9, 0.2, -0.1], [0.3, 0.7, 0.1], [0.05, -0.2, 0.8]])
_COUNTS = np.array([3, 1, 4, 2])


class Tried(NamedTuple):
    """What became of an expression.

    Attributes
    ----------
    way : str
        One of the words above.
    said : str
        Names of the operations that are not nutmill's own, or why there is nothing.
    """

    way: str
    said: str = ""


def try_expression(written: str) -> Tried:
    """Try an expression of PyTensor."""
    return _tried(lambda: _density(written))


def try_distribution(written: str) -> Tried:
    """Try a distribution of PyMC."""
    return _tried(lambda: _model(written))


def _density(written: str) -> Variable:
    x, m, z = pt.vector("x", shape=(4,)), pt.matrix("M", shape=(3, 3)), pt.vector("z", shape=(2,))
    names = {
        "x": x,
        "M": m,
        "S": m @ m.T + pt.eye(3),
        "T": pt.diag(x[:3] + 2) + pt.diag(x[:2], 1) + pt.diag(x[1:3], -1),
        "z": z,
        "n": pytensor.shared(_COUNTS, "n"),
        "i": pytensor.shared(_COUNTS[1:3] % 2, "i"),
        "constant_sparse": sparse.as_sparse_variable(scipy.sparse.csr_matrix(np.round(_M))),
    }
    result = eval(written, {"pt": pt, "pytensor": pytensor, "fft": fft, "sparse": sparse, "ifelse": ifelse}, names)
    flat = pt.as_tensor(result).flatten()
    return -(x**2).sum() - (m**2).sum() + (flat * pt.cos(pt.arange(flat.shape[0]))).sum()


def _model(written: str) -> pm.Model:
    ring = np.roll(np.eye(4), 1, 0) + np.roll(np.eye(4), -1, 0)
    names = {
        "y": np.array([0.5, 1.2, 0.7, 2.1]),
        "c": np.array([0.2, 1.0, 0.7, 0.5]),
        "k": _COUNTS,
        "ring": ring,
        "knots": np.linspace(-1, 3, 9),
        "heights": np.exp(-0.5 * np.linspace(-1, 3, 9) ** 2),
    }
    with pm.Model() as model:
        parameters = {"z": pm.Normal("z"), "p": pm.Exponential("p", 1), "u": pm.Beta("u", 2, 2)}
        eval(written, {"pm": pm, "pt": pt, "np": np} | names | parameters)
    return model


def _tried(build: Callable) -> Tried:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = build()
    except (AttributeError, NotImplementedError, TypeError) as error:
        return Tried(MISSING, _first_line(error))
    except ValueError as error:
        return Tried(REFUSED, _first_line(error))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = nutmill.compile_model(made, progressbar=False)
    except (ModelError, MethodNotDefined, NotImplementedError) as error:  # of the second, PyTensor has no gradient
        return Tried(REFUSED, _first_line(error.__cause__ or error))
    except Exception as error:
        return Tried(FAILED, f"{type(error).__name__}: {_first_line(error)}")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            far = _distance(made, compiled)
        except Exception as error:  # of PyTensor's interpreter, or of the code that it is compared with
            return Tried(FAILED, f"{type(error).__name__}: {_first_line(error)}")
    if not far <= _CLOSE:
        return Tried(WRONG, f"{far:.1g} from PyTensor's")
    return _way(compiled.code)


def _way(code) -> Tried:
    if code.python_ops:
        return Tried(PYTHON, ", ".join(code.python_ops))
    if not code.fused:
        return Tried(POINTER, ", ".join(code.by_numba))
    return Tried(NUMBA, ", ".join(code.by_numba)) if code.by_numba else Tried(OWN)


def _distance(made: pm.Model | Variable, compiled: nutmill.CompiledModel) -> float:
    """How far density and gradient are from what PyTensor's interpreter gives, relative to their size."""
    if isinstance(made, Variable):
        by_name = {"x": _X, "M": _M, "z": np.array([0.1, 0.2])}
        variables = [v for v in pytensor.graph.traversal.explicit_graph_inputs([made]) if v.name in by_name]
        variables = {v.name: v for v in variables}
        order = [parameter.name for parameter in compiled.description.parameters]
        values, inputs, logp = [by_name[name] for name in order], [variables[name] for name in order], made
    else:
        inputs, logp = made.value_vars, made.logp()
        (start,) = compiled.starts(None, 1, 3, jitter=True)
        parts = np.split(start, np.cumsum([int(np.prod(shape)) for shape in compiled.binding.shapes])[:-1])
        values = [part.reshape(shape) for part, shape in zip(parts, compiled.binding.shapes, strict=True)]
    expected = _expected(inputs, values, logp)
    position = np.concatenate([np.ravel(value) for value in values])
    found = compiled.logp_dlogp(position)
    one = np.concatenate([np.ravel(each) for each in expected])
    other = np.concatenate([np.ravel(each) for each in found])
    if not np.isfinite(one).all() and np.isfinite(other).all():
        return 0.0  # a gradient that PyTensor does not have
    return float(np.max(np.abs(one - other) / (1 + np.abs(one))))


def _expected(inputs: list[Variable], values: list[np.ndarray], logp: Variable) -> list[np.ndarray]:
    """Log density and gradient by PyTensor's interpreter; by differences of fourth order where it has no gradient."""
    try:
        return evaluate(inputs, values, [logp, *pytensor.grad(logp, inputs, disconnected_inputs="ignore")])
    except NotImplementedError:
        density = evaluator(inputs, [logp])
    slopes = []
    for number, value in enumerate(values):
        for place in np.ndindex(value.shape):
            unit = np.zeros(value.shape)
            unit[place] = 1e-3
            moved = [[*values[:number], value + k * unit, *values[number + 1 :]] for k in (-2, -1, 1, 2)]
            slopes.append(np.dot([1, -8, 8, -1], [density(at)[0] for at in moved]) / 12e-3)
    return [*density(values), np.array(slopes)]


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


if __name__ == "__main__":
    for text in sys.argv[1:]:
        print(text, try_distribution(text) if text.startswith("pm.") else try_expression(text))
