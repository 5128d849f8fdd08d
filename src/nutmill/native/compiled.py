"""A compiled model: native code and data in one object, which evaluates, takes new data, and goes into a file."""

from __future__ import annotations

import html
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nutmill.errors import ArgumentError, ModelError, path_of
from nutmill.files import CODE_MODE, read_plain, replace_file
from nutmill.layout.applied import Applied, apply_layout
from nutmill.layout.layout import Layout
from nutmill.native import newdata, saved_model
from nutmill.native.binding import Binding, bind
from nutmill.native.code import Code
from nutmill.native.container import Damaged
from nutmill.native.description import Description, Labels, first_names
from nutmill.native.origin import Origin
from nutmill.native.process_memory import peak_bytes
from nutmill.native.starts import Failed, Search, Start, failure, flatten, shown

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, eq=False, repr=False)
class CompiledModel:
    """Native code of a model, bound to data. Made by `compile_model`, or by `load` from a file.

    A pickle of it holds what `save` writes, so that processes of joblib and the like can be given it.

    Attributes
    ----------
    description : Description
        Parameters, data and reported variables, with the data that this object is bound to.
    code : Code
        The native code, shared by all objects that `with_data` makes of this one.
    origin : Origin
        What the model computes outside of sampling, such as where chains start.
    """

    description: Description
    code: Code
    origin: Origin

    def __reduce__(self):
        return unpickled, (self.to_bytes(),)

    def __repr__(self) -> str:
        about = [first_names([parameter.rv_name for parameter in self.description.parameters])]
        arrays = self.description.arrays
        if data := [array.name for array in arrays if array.name and not self.description.is_length(array)]:
            about.append(f"data {first_names(data)}")
        if self.description.missing:
            about.append("saved without its data")
        return f"CompiledModel({'; '.join(about)})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self) if self.description.missing else self.report())}</pre>"

    @property
    def n_dim(self) -> int:
        """Number of unconstrained values."""
        return self.binding.n_dim

    @property
    def dims(self) -> dict[str, tuple[str | None, ...]]:
        """Dimensions of the reported variables that have any."""
        return {name: reported.dims for name, reported in self.description.reported.items() if reported.dims}

    @property
    def coords(self) -> Mapping[str, Labels]:
        """Labels of the dimensions."""
        return self.description.coords

    def logp_dlogp(self, q: ArrayLike) -> tuple[float, np.ndarray]:
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
            NaN there.

        Raises
        ------
        ArgumentError
            If the position has another shape.
        """
        position = np.ascontiguousarray(q, dtype=np.float64)
        if position.shape != (self.n_dim,):
            raise ArgumentError(f"The position must have shape ({self.n_dim},), not {position.shape}.")
        status, logp, gradient = self.binding.density(position)
        return (logp, gradient) if status == 0 else (-np.inf, np.full(self.n_dim, np.nan))

    def with_data(self, coords: Mapping[str, Sequence] | None = None, **arrays) -> CompiledModel:
        """Bind the same native code to other data; nothing is compiled.

        The `pm.Model` keeps its data, and PyMC's own functions take those: see `nutmill.check_data`.

        Parameters
        ----------
        coords
            New labels of dimensions.
        arrays
            By name: `pm.Data` and observed variables. Lengths may differ from before, ranks may not.

        Returns
        -------
        CompiledModel
            Another one; this one keeps its data.

        Raises
        ------
        ModelError
            If a name is unknown, a dtype or rank is another, lengths do not fit, values are masked or missing,
            observations are NaN, or NaN elsewhere make the log density NaN.
        """
        description = newdata.replace_arrays(self.description, arrays, coords or {})
        new = replace(self, description=description)
        newdata.check_fit(description, self.description, self.origin, lambda: new.binding)
        return new

    def save(self, path: str | os.PathLike, *, data: bool = True, log_likelihood: bool = False) -> None:
        """Write the model to a file from which `nutmill.load` gives it back, without PyMC, PyTensor and Numba.

        The file holds machine code: whoever may write it may run code as its reader.

        Parameters
        ----------
        path
            Of the file, by custom ``model.nut``; one that is there is replaced at once, when all is written.
        data
            Write the data too; without them, `with_data` must be called on what was loaded.
        log_likelihood
            Write what ``idata_kwargs={"log_likelihood": True}`` needs too; it may have to be compiled first.

        Raises
        ------
        ModelError
            If the model's code needs Python, its data are missing, or the file cannot be written.
        """
        path = path_of(path, "path", "a file")
        try:
            replace_file(path, self.to_bytes(data=data, log_likelihood=log_likelihood), mode=CODE_MODE)
        except OSError as error:
            raise ModelError(f"The model cannot be saved as {path}: {error.strerror}.") from error

    def to_bytes(self, *, data: bool = True, log_likelihood: bool = False) -> bytes:
        """Give the content of the file that `save` writes; raises ModelError as that does.

        Parameters
        ----------
        data, log_likelihood
            As in `save`.

        Returns
        -------
        bytes
        """
        return saved_model.to_bytes(self.description, self.code, self.origin, data=data, log_likelihood=log_likelihood)

    def report(self) -> str:
        """Describe parameters, data and native code in a few lines.

        Returns
        -------
        str
            With shapes, CPU seconds of each step of the compile, and MB of memory.
        """
        where = "a native object" if self.code.fused else "Numba's engine"
        lines = [f"{self.n_dim} unconstrained values, in {where}"]
        for parameter, shape in zip(self.description.parameters, self.binding.shapes, strict=True):
            lines.append(f"  parameter {parameter.name} {shape}")
        for array in self.description.arrays:
            lines.append(f"  data      {array.name or '(constant)'} {array.value.shape} {array.value.dtype}")
        n_prepared, n_lengths = self.code.n_prepared, len(self.code.lengths.results)
        lines.append(f"  prepared  {n_prepared} arrays and {n_lengths} lengths that depend on data alone")
        lines.append(f"  object    {len(self.code.native.code) / 1024:.0f} kB of native code")
        lines.append(f"  lowered   by {self.code.lowered_by()}")
        lines += ["  from the cache"] * self.code.from_cache
        lines.append(f"  made for  {self.code.target.cpu}")
        lines += [f"  {name:<11} {seconds:.3f} CPU s" for name, seconds in self.code.stages.items()]
        lines += [f"  in Python {op}" for op in self.code.python_ops]
        lines.append(f"  memory    {peak_bytes() / 1e6:.0f} MB at most in this process")
        if self.code.peak_bytes:
            lines.append(f"            {self.code.peak_bytes / 1e6:.0f} MB in the one that compiled")
        return "\n".join(lines)

    @cached_property
    def binding(self) -> Binding:
        """The native code bound to the data: what the driver samples."""
        if self.description.missing:
            names = ", ".join(sorted(self.description.missing))
            raise ModelError(f"This model was saved without its data: give them by with_data ({names}).")
        return self._bound(self.code)

    @cached_property
    def likelihood(self) -> Binding:
        """What computes the log likelihood of each observation, bound to the data; compiled when first asked for.

        Raises
        ------
        ModelError
            If the model has no observed variables, is no `pm.Model`, or was saved without its log likelihood.
        """
        return self._bound(self.origin.likelihood(self.code.target))

    def _bound(self, code: Code) -> Binding:
        start = self.start_values()
        with self.one_blas_thread():
            return bind(code, start, self.description.values)

    @property
    def is_bound(self) -> bool:
        """Whether `binding` is there already: making it prepares data, and may wait for other runs."""
        return "binding" in vars(self)

    def one_blas_thread(
        self, workers: int = 1, while_waiting: Callable[[], object] | None = None
    ) -> AbstractContextManager[Applied | None]:
        """Let BLAS have one thread while in the `with`, if this model may call it; see `apply_layout`.

        For all that is computed outside of sampling: its last bits must not depend on how many threads other parts
        of the program have, or another machine.

        Parameters
        ----------
        workers : int
            How many threads compute at the same time.
        while_waiting : callable, optional
            Called four times a second while other parts of the program need other numbers of threads.

        Returns
        -------
        context manager
            It gives what took effect; None of a model that calls no BLAS.
        """
        return apply_layout(Layout(workers), while_waiting) if self.code.calls_blas else nullcontext()

    def start_values(self, seed: int = 0) -> list[np.ndarray]:
        """Compute the initial value of each parameter on the unconstrained scale, without jitter.

        Parameters
        ----------
        seed : int
            For initial values that are drawn at random.

        Returns
        -------
        list of arrays
            One for each parameter, of its shape.
        """
        with self.one_blas_thread():
            return self.origin.start(self.description.values, seed)

    def starts(
        self,
        initvals: Mapping | Sequence[Mapping | None] | None,
        chains: int,
        seed: int,
        *,
        jitter: bool,
        from_prior: bool = False,
        chain_ids: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Find a start for each chain, or for some of them.

        Parameters
        ----------
        initvals
            Values by name, for all chains or a mapping for each; as in `sample_numba`.
        chains, seed : int
            Of the run.
        jitter : bool
            Move what was not given by up to 1 in every direction.
        from_prior : bool
            Draw what was not given from the prior.
        chain_ids : sequence of int, optional
            Those of the run's chains to find starts for. Default: all.

        Returns
        -------
        (n, n_dim) float64
            A position for each chain, unconstrained, where density and gradient are finite.

        Raises
        ------
        ModelError
            If initvals do not fit the model, or no start with finite density and gradient is found.
        """
        per_chain = newdata.initvals_per_chain(self.description, initvals, chains)
        chain_ids = range(chains) if chain_ids is None else chain_ids
        positions = np.empty((len(chain_ids), self.n_dim))
        bases: dict[int, Start] = {}
        search = Search(self.binding, lambda: self.origin.guide(self.description.values))
        for row, chain in enumerate(chain_ids):
            given = per_chain[chain]
            base = bases.get(id(given)) or self._base(given, seed)
            bases[id(given)] = base
            with self.one_blas_thread():
                found = search.find(base, seed, chain, jitter=jitter, from_prior=from_prior)
            if isinstance(found, Failed):
                raise ModelError(self._explain(base, found, chain)) from self.binding.cause
            positions[row] = found
        return positions

    def _base(self, given: Mapping[str, object], seed: int) -> Start:
        if not given:
            return flatten(self.start_values(seed), self.description.names, {})
        with self.one_blas_thread():
            values, names = newdata.start_with(self.description, self.origin, given, seed)
        return flatten(values, self.description.names, names)

    def _explain(self, base: Start, found: Failed, chain: int) -> str:
        status, _, gradient = self.binding.density(base.position)
        if status == 0 and found.status != 0:
            status = found.status
        why = self.binding.sentence_of(status) if status else None
        pieces = self.split(base.position)
        terms = self.origin.not_finite(list(pieces.values()), self.description.values)
        table = failure(why, self.description.names, self.binding.shapes, gradient, terms)
        table = table or "  everything is finite, jittered starts are not"
        where = self._values_of(base.position, {name for term in terms.values() for name in term.parameters})
        places = "; ".join(newdata.nan_places(self.description) + newdata.inf_places(self.description))
        tries = "1 try" if found.n_tries == 1 else f"{found.n_tries} tries"
        return (
            f"No start with finite log density and gradient was found for chain {chain} in "
            f"{tries}{places and f': {places}'}. At the unjittered start:\n{table}\n  there {where}\n"
            "Check the data and priors of these variables, or pass initvals inside the support "
            "(jitter=False)."
        )

    def _values_of(self, position: np.ndarray, names: set[str]) -> str:
        """Write the values of some parameters at a position, of all if none are named: on their own scale, if known."""
        pieces = self.split(position)
        try:
            known = {name: values[0] for name, values in self.expand(position[None]).items()}
        except ModelError:  # an operation fails there
            known = pieces
        parameters = [p for p in self.description.parameters if p.name in names or not names]
        values = {p.rv_name if p.rv_name in known else p.name: known.get(p.rv_name, pieces[p.name]) for p in parameters}
        return ", ".join(shown(name, value) for name, value in values.items())

    def split(self, draws: np.ndarray) -> dict[str, np.ndarray]:
        """Cut positions into parameters.

        Parameters
        ----------
        draws : (..., n_dim) float64
            Positions on the unconstrained scale.

        Returns
        -------
        dict of arrays (..., *shape)
            By name of the parameter; views of `draws` where possible.
        """
        return dict(zip(self.description.names, self.binding.pieces(draws), strict=True))

    def expand(self, draws: np.ndarray, threads: int = 1, *, one_blas_thread: bool = True) -> dict[str, np.ndarray]:
        """Compute the reported variables of draws.

        Parameters
        ----------
        draws : (..., n_dim) float64
            Positions on the unconstrained scale.
        threads : int
            How many blocks of draws are computed at the same time.
        one_blas_thread : bool
            False leaves BLAS the threads that it has.

        Returns
        -------
        dict of arrays (..., *shape)
            By name of the variable, in the model's order.
        """
        pieces = self.binding.pieces(draws)
        if one_blas_thread:
            computed = self._expanded(self.binding, draws, threads)
        else:
            computed = self.binding.expand(draws, threads)
        return {
            name: computed[name] if reported.parameter is None else pieces[reported.parameter]
            for name, reported in self.description.reported.items()
        }

    def log_likelihood(self, draws: np.ndarray, threads: int = 1) -> dict[str, np.ndarray]:
        """Compute the log likelihood of each observation; raises ModelError as `likelihood` does.

        Parameters
        ----------
        draws : (..., n_dim) float64
            Positions on the unconstrained scale.
        threads : int
            How many blocks of draws are computed at the same time.

        Returns
        -------
        dict of arrays (..., *shape)
            By name of the observed variable.
        """
        return self._expanded(self.likelihood, draws, threads)

    def _expanded(self, binding: Binding, draws: np.ndarray, threads: int) -> dict[str, np.ndarray]:
        numbers = itertools.count()
        with self.one_blas_thread(threads) as applied:
            on_thread = None if applied is None else lambda: applied.enter_worker(next(numbers))
            return binding.expand(draws, threads, on_thread)


def load(path: str | os.PathLike, *, strict: bool = False) -> CompiledModel:
    """Load a compiled model from a file that `CompiledModel.save` wrote.

    Neither PyMC nor PyTensor nor Numba is needed for it, nor for sampling what it gives. The file holds machine code,
    which runs with your rights: load files of those whom you would let run programs here.

    Parameters
    ----------
    path
        Of the file.
    strict
        Refuse a file that others than its owner may write, or replace in its folder.

    Returns
    -------
    CompiledModel

    Raises
    ------
    ModelError
        If the file cannot be read, is damaged or no model, was made for another processor or another version of
        nutmill, or, with `strict`, others may write it.
    """
    path = path_of(path, "path", "a model's file")
    try:
        if strict:
            saved_model.check_private(path)
        return from_bytes(read_plain(path, follow=True))
    except OSError as error:
        raise ModelError(f"The model {path} cannot be read: {error.strerror or error}.") from error
    except Damaged as error:
        raise ModelError(f"The model {path} cannot be used: {error}.") from error


def from_bytes(content: bytes) -> CompiledModel:
    """Make a compiled model of a file's content; raises Damaged if it is none, or cannot run here."""
    return CompiledModel(*saved_model.from_bytes(content))


def unpickled(content: bytes) -> CompiledModel:
    """Make a compiled model of what its pickle holds, the content of a file; raises ModelError."""
    try:
        return from_bytes(content)
    except Damaged as error:
        raise ModelError(f"The pickled model cannot be used: {error}.") from error
