"""A name for a PyMC model before its log density is built, which takes PyMC seconds in large models.

Two models share a name only if `from_pymc` would read the same from both, but for the values of their shared variables
and the labels of their coordinates. So the name holds more than a graph's fingerprint: random variables, transforms,
names, and the content of all constants, because PyMC may look at them when it derives a log density.
"""

import hashlib
import types
from collections.abc import Iterator, Sequence

import pymc as pm
from pymc.distributions import distribution, shape_utils, transforms
from pymc.logprob import abstract
from pymc.logprob.rewriting import logprob_rewrites_db
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.op import Op
from pytensor.graph.traversal import ancestors

from nutmill.model.cache.fingerprint import Fingerprint, Nameless, Reader, has_version
from nutmill.model.graphs.short_dims import short_lengths
from nutmill.model.lowering.environment import customised


def name_of(model: pm.Model, var_names: Sequence[str] | None) -> Fingerprint:
    """Name a model; the same in every process."""
    outputs = _outputs(model)
    inputs = [v for v in dict.fromkeys(ancestors(outputs)) if v.owner is None and not isinstance(v, Constant)]
    reader = _ModelReader()
    try:
        reason = _customised()
        if reason:
            raise Nameless(reason)
        facts = [reader.value(fact) for fact in _facts(model, inputs)]
        text = repr((var_names and list(var_names), facts, reader.graph(inputs, outputs)))
    except Nameless as error:
        return Fingerprint(None, str(error))
    except RecursionError:
        return Fingerprint(None, "something in it refers to itself")
    return Fingerprint(hashlib.sha256(text.encode()).hexdigest())


def leaves(model: pm.Model) -> list[Variable]:
    """Constants and shared variables of a model, in an order that depends on the model alone."""
    found = dict.fromkeys(ancestors(_outputs(model)))
    return [variable for variable in found if isinstance(variable, Constant | SharedVariable)]


def _outputs(model: pm.Model) -> list[Variable]:
    """Everything that a model consists of."""
    given = [value for value in model.rvs_to_initial_values.values() if isinstance(value, Variable)]
    values = [model.rvs_to_values[rv] for rv in model.basic_RVs]
    lengths = [length for length in model.dim_lengths.values() if isinstance(length, Variable)]
    return [*model.basic_RVs, *model.potentials, *model.deterministics, *values, *model.data_vars, *lengths, *given]


def _facts(model: pm.Model, inputs: Sequence[Variable]) -> Iterator[object]:
    """What a model knows of its variables besides their graphs."""
    for group in (model.free_RVs, model.observed_RVs, model.potentials, model.deterministics, model.data_vars):
        yield [variable.name for variable in group]
    for rv in model.basic_RVs:
        value = model.rvs_to_values[rv]
        start = model.rvs_to_initial_values.get(rv)
        yield value.name, model.rvs_to_transforms.get(rv), None if isinstance(start, Variable) else start
        yield rv in model.rvs_to_initial_values
    yield {name: tuple(dims) for name, dims in model.named_vars_to_dims.items()}
    yield [name for name, labels in model.coords.items() if labels is not None]
    yield [(name, isinstance(length, SharedVariable)) for name, length in model.dim_lengths.items()]
    yield short_lengths(model)
    # Copies of a shared variable hold the same array.
    holders = [id(v.container) if isinstance(v, SharedVariable) else id(v) for v in inputs]
    yield [holders.index(holder) for holder in holders]


class _ModelReader(Reader):
    """Reads transforms too, and the functions that they hold; tells equal constants from one that is used twice."""

    def __init__(self):
        super().__init__()
        self._constants: dict[int, tuple[int, Constant]] = {}
        self._depth = 0  # of inner graphs

    def constant(self, constant: Constant) -> tuple:
        # No data come from within inner graphs, and PyTensor 3 shares parts of them with other models that live now.
        if self._depth:
            return super().constant(constant)
        number, _ = self._constants.setdefault(id(constant), (len(self._constants), constant))
        return number, super().constant(constant)

    def _inner(self, op: Op) -> tuple:
        self._depth += 1
        try:
            return super()._inner(op)
        finally:
            self._depth -= 1

    def value(self, x: object) -> object:
        if isinstance(x, types.FunctionType) and _is_local(x):
            cells = [cell.cell_contents for cell in x.__closure__ or ()]
            home = x.__module__, x.__qualname__, x.__code__.co_firstlineno
            return "local", home, [self.value(part) for part in (cells, x.__defaults__, x.__kwdefaults__)]
        if isinstance(x, transforms.Transform) and has_version(type(x)):
            return "transform", self.value(type(x)), self.value(vars(x))
        if isinstance(x, Variable) and not isinstance(x, Constant):
            return self._expression(x)
        return super().value(x)

    def _expression(self, x: Variable) -> tuple:
        """What a transform computes from constants."""
        if any(v.owner is None and not isinstance(v, Constant) for v in ancestors([x])):
            raise Nameless(f"a transform depends on {x}")
        return "expression", self.graph([], [x])


def _is_local(function: types.FunctionType) -> bool:
    """Whether a function was made at run time, by code whose version is known."""
    return has_version(function) and ("<locals>" in function.__qualname__ or "<lambda>" in function.__qualname__)


def _customised() -> str | None:
    """Say what the user has put in the place of PyMC's own ways to a log density, if anything."""
    for module in (abstract, distribution, shape_utils, transforms):
        for name, way in vars(module).items():
            for kind, function in getattr(way, "registry", {}).items():
                if has_version(kind) and not has_version(function):
                    return f"{name} of {kind.__name__} was registered by {function.__module__}"
    return customised(logprob_rewrites_db)
