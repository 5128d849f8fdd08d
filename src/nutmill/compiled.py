"""A compiled model: native code and data in one object that samples, evaluates, and takes new data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numba.core.dispatcher import Dispatcher
from pytensor.graph.basic import Variable

from nutmill.errors import ModelError
from nutmill.model import inits, newdata
from nutmill.model.binding import Binding, bind
from nutmill.model.compile import Code, compile_graph
from nutmill.model.densities import from_njit, from_pytensor
from nutmill.model.graph import ModelGraph, Parameter
from nutmill.model.start import evaluate, not_finite


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """Native code of a model, bound to data. Made by `compile_model`.

    Attributes
    ----------
    graph : ModelGraph
        Parameters, data and reported variables, with the data that this object is bound to.
    code : Code
        The native code, shared by all objects that `with_data` makes of this one.
    """

    graph: ModelGraph
    code: Code
    replaced: bool = False  # with_data was called: the user's own model has other data

    @property
    def n_dim(self) -> int:
        """Number of unconstrained values."""
        return self.binding.n_dim

    @property
    def dims(self) -> dict[str, tuple[str | None, ...]]:
        """Dimensions of the reported variables that have any."""
        return {name: node.dims for name, node in self.graph.expanded.items() if node.dims}

    @property
    def coords(self) -> Mapping[str, Sequence]:
        """Labels of the dimensions."""
        return self.graph.coords

    def logp_dlogp(self, q: np.ndarray) -> tuple[float, np.ndarray]:
        """Evaluate log density and gradient natively.

        Parameters
        ----------
        q : (n_dim,) float64
            Position on the unconstrained scale; parameters in the order of `report()`.

        Returns
        -------
        logp : float
            ``-inf`` where an operation of the model fails.
        gradient : (n_dim,) float64
        """
        q = np.ascontiguousarray(q, dtype=np.float64)
        if q.shape != (self.n_dim,):
            raise ModelError(f"The position must have shape ({self.n_dim},), not {q.shape}.")
        status, logp, gradient = self.binding.density(q)
        return (logp, gradient) if status == 0 else (-np.inf, np.full(self.n_dim, np.nan))

    def sample(self, **options):
        """Sample this model; takes the arguments of `sample_numba` from `draws` on."""
        from nutmill.sample import sample_compiled  # sampling is built on this class

        return sample_compiled(self, **options)

    def with_data(self, coords: Mapping[str, Sequence] | None = None, **arrays) -> CompiledModel:
        """Bind the same native code to other data; nothing is compiled.

        Parameters
        ----------
        coords
            New labels of dimensions.
        arrays
            By name: `pm.Data` and observed variables. Lengths may differ from before, ranks may not.

        Raises
        ------
        ModelError
            If a name is unknown, a dtype or rank is another, lengths do not fit, or observations are NaN.
        """
        graph = newdata.replace_arrays(self.graph, arrays, coords or {})
        new = replace(self, graph=graph, replaced=True)
        newdata.check_density(new.binding, new.start_values(), graph)
        return new

    def report(self) -> str:
        """Describe parameters, data and native code in a few lines."""
        lines = [f"{self.n_dim} unconstrained values, {'fused' if self.code.fused else 'through a pointer'}"]
        for parameter, shape in zip(self.graph.parameters, self.binding.shapes, strict=True):
            lines.append(f"  parameter {parameter.name} {shape}")
        for array in self.graph.arrays:
            lines.append(f"  data      {array.name or '(constant)'} {array.value.shape} {array.value.dtype}")
        lines.append(f"  prepared  {self.code.n_prepared} arrays that depend on data alone")
        lines.append(f"  object    {len(self.code.native.code) / 1024:.0f} kB of native code")
        lines += ["  from the cache"] * self.code.from_cache
        lines += [f"  {name:<11} {seconds:.3f} CPU s" for name, seconds in self.code.stages.items()]
        lines += [f"  in Python {op}" for op in self.code.python_ops]
        return "\n".join(lines)

    @cached_property
    def binding(self) -> Binding:
        """The native code bound to the data: what the driver samples."""
        shapes = [np.shape(value) for value in self.start_values()]
        return bind(self.code, shapes, [array.value for array in self.graph.arrays])

    def start_values(self, seed: int = 0) -> list[np.ndarray]:
        """Initial value of each parameter on the unconstrained scale, without jitter."""
        arrays = self.graph.arrays
        return evaluate([a.variable for a in arrays], [a.value for a in arrays], self.graph.start, seed)

    def starts(
        self,
        initvals: Mapping | Sequence[Mapping | None] | None,
        chains: int,
        seed: int,
        *,
        jitter: bool,
        chain_ids: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Find a start for each chain, or for some of them: (n, n_dim) float64; see `sample_numba` for `initvals`.

        Raises
        ------
        ModelError
            If initvals do not fit the model, or no start with finite density and gradient is found.
        """
        per_chain = newdata.initvals_per_chain(self.graph, initvals, chains)
        chain_ids = range(chains) if chain_ids is None else chain_ids
        positions = np.empty((len(chain_ids), self.n_dim))
        bases: dict[int, inits.Start] = {}
        for row, chain in enumerate(chain_ids):
            given = per_chain[chain]
            base = bases.setdefault(id(given), None) or self._base(given, seed)
            bases[id(given)] = base
            found = inits.find_start(self.binding, base, seed, chain, jitter=jitter)
            if not isinstance(found, np.ndarray):
                raise ModelError(self._explain(base, found, chain))
            positions[row] = found
        return positions

    def _base(self, given: Mapping[str, object], seed: int) -> inits.Start:
        values, names = newdata.start_with(self.graph, given, seed) if given else (self.start_values(seed), {})
        return inits.flatten(values, [p.name for p in self.graph.parameters], names)

    def _explain(self, base: inits.Start, status: int, chain: int) -> str:
        _, _, gradient = self.binding.density(base.position)
        pieces = self.split(base.position)
        point = {variable: pieces[variable.name] for variable in self.graph.point_variables()}
        terms = not_finite(self.graph.terms(), point) if point else {}
        names = [p.name for p in self.graph.parameters]
        table = inits.failure(status, names, self.binding.shapes, gradient, terms)
        return (
            f"No start with finite log density and gradient was found for chain {chain} in {inits.MAX_TRIES} "
            f"tries. At the unjittered start:\n{table or '  everything is finite, jittered starts are not'}\n"
            "Check the data and priors of these variables, or pass initvals inside the support "
            "(jitter=False)."
        )

    def split(self, draws: np.ndarray) -> dict[str, np.ndarray]:
        """Cut positions (..., n_dim) into parameters (..., *shape), by name; views where possible."""
        pieces, first = {}, 0
        for parameter, shape in zip(self.graph.parameters, self.binding.shapes, strict=True):
            size = int(np.prod(shape))
            pieces[parameter.name] = draws[..., first : first + size].reshape((*draws.shape[:-1], *shape))
            first += size
        return pieces

    def expand(self, draws: np.ndarray, threads: int = 1) -> dict[str, np.ndarray]:
        """Compute the reported variables of draws (..., n_dim), in the model's order, in so many threads."""
        pieces = self.split(draws)
        by_variable: dict = {p.variable: p for p in self.graph.parameters}
        computed = self.binding.expand(draws, threads)
        return {
            name: computed[name] if name in computed else _piece(pieces, by_variable[node.variable])
            for name, node in self.graph.expanded.items()
        }


def _piece(pieces: Mapping[str, np.ndarray], parameter: Parameter) -> np.ndarray:
    return pieces[parameter.name]


def compile_model(
    model=None,
    *,
    var_names: Sequence[str] | None = None,
    start: Mapping | None = None,
    n_dim: int | None = None,
    data: np.ndarray | tuple[np.ndarray, ...] = (),
    fuse: bool = True,
) -> CompiledModel:
    """Compile a model to one native object.

    Parameters
    ----------
    model
        A `pm.Model` (None takes the one of the surrounding ``with``); or a scalar PyTensor graph, whose named
        inputs are the parameters; or an njit density ``f(q, gradient, data) -> logp``, which writes the
        gradient.
    var_names
        Variables of a `pm.Model` to report of each draw; None reports free variables and Deterministics.
    start
        For a PyTensor graph: initial values by input; zeros for inputs of known shape.
    n_dim
        For an njit density: the length of ``q``.
    data
        For an njit density: what it gets as ``data``, an array or a tuple of arrays.
    fuse
        Link kernel and model into one object; False calls the model through a pointer.

    Raises
    ------
    ModelError
        If the model cannot be sampled by NUTS; the message says which variable, and what to do.
    """
    graph = _graph(model, var_names, start or {}, n_dim, data)
    return CompiledModel(graph, compile_graph(graph, fuse_kernel=fuse))


def _graph(model, var_names, start: Mapping, n_dim: int | None, data) -> ModelGraph:
    if isinstance(model, Dispatcher):
        if n_dim is None:
            raise ModelError("An njit density needs n_dim=, the length of its first argument.")
        return from_njit(model, n_dim, data)
    if isinstance(model, Variable):
        return from_pytensor(model, start)
    import pymc  # takes seconds, which the other forms need not pay

    from nutmill.model.pymc_model import from_pymc

    try:
        found = pymc.modelcontext(model)
    except TypeError as error:
        raise ModelError("There is no model: pass a pm.Model, or call this inside `with pm.Model():`.") from error
    if not isinstance(found, pymc.Model):
        raise ModelError(f"A model is a pm.Model, a PyTensor graph or an njit density, not {model!r}.")
    return from_pymc(found, var_names)
