"""A model's native code bound to one data set: the record, what `prepare` made of it, calls by arrays."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nutmill.errors import ModelError, Status, sentence
from nutmill.native.code import Code
from nutmill.native.grouping import RowsMisfit, arrange
from nutmill.native.in_python import InPython, sentence_of
from nutmill.native.lengths import CheckFailed
from nutmill.native.object import NativeObject
from nutmill.native.record import ENTRY_WORDS, Record, fill, packed_sizes, room_for_lengths, shapes_of, unpack

_log = logging.getLogger("nutmill")

_EXPAND_BLOCK = 256  # draws, so that an interrupt is not kept waiting


class DataMisfit(ModelError):
    """Native code has no result for the data that it is bound to; `why` says what was wrong."""

    def __init__(self, why: str):
        super().__init__(f"The model cannot be evaluated with these data: {why}.")
        self.why = why


@dataclass(frozen=True)
class Binding:
    """Native code and one data set. Also the `NativeModel` that the driver takes."""

    code: Code
    shapes: tuple[tuple[int, ...], ...]  # shape of each parameter on the unconstrained scale
    record: Record  # addresses and lengths as native code reads them
    inside: np.ndarray  # (n_dim,) float64: a position at which the model is defined, to ask for shapes at

    @property
    def n_dim(self) -> int:
        """Number of unconstrained values."""
        return sum(int(np.prod(shape)) for shape in self.shapes)

    @property
    def start(self) -> int:
        """Address of the kernel's `start`."""
        return self.code.address("start")

    @property
    def advance(self) -> int:
        """Address of the kernel's `advance`."""
        return self.code.address("advance")

    @property
    def pool(self) -> int:
        """Address of the kernel's `pool`."""
        return self.code.address("pool")

    @property
    def run(self) -> int:
        """Address of the kernel's `run`."""
        return self.code.address("run")

    @property
    def mixing(self) -> int:
        """Address of the kernel's `mixing`."""
        return self.code.address("mixing")

    @property
    def data(self) -> int:
        """Address of the data record."""
        return self.record.address

    @cached_property
    def sites(self) -> np.ndarray:
        """Number of the site that each unconstrained value is an element of, (n_dim,) int64; -1: none."""
        return self._of_elements(np.arange(len(self.code.sites)), -1)

    @cached_property
    def written(self) -> np.ndarray:
        """Centredness of each unconstrained value as the model is written, (n_dim,) float64; 0 outside of sites."""
        return self._of_elements([written for _, written, _ in self.code.sites], 0.0)

    @cached_property
    def joint(self) -> np.ndarray:
        """Kind of each unconstrained value's site, (n_dim,) int64, as in `GroupState.joint`; 0 outside of sites."""
        return self._of_elements([joint for *_, joint in self.code.sites], 0)

    def _of_elements(self, of_sites: Iterable[float], other: float) -> np.ndarray:
        pieces = [np.full(int(np.prod(shape)), other) for shape in self.shapes]
        for (parameter, *_), value in zip(self.code.sites, of_sites, strict=True):
            pieces[parameter][:] = value
        return np.concatenate(pieces)

    def pieces(self, draws: np.ndarray) -> list[np.ndarray]:
        """Cut positions (..., n_dim) into parameters, (..., *shape) each; views where that can be."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        pieces = zip(np.split(draws, ends[:-1], axis=-1), self.shapes, strict=True)
        return [piece.reshape((*draws.shape[:-1], *shape)) for piece, shape in pieces]

    def reading(self, centredness: np.ndarray) -> Record:
        """Make a record whose centrednesses are those of an array, (n_dim,) float64, which may change at any time."""
        words = self.record.words.copy()
        first = len(self.shapes) + self.code.n_arrays
        for slot, (parameter, *_) in zip(self.code.slots[first:], self.code.sites, strict=False):
            words[slot.word] = centredness.ctypes.data + 8 * words[self.code.slots[parameter].word]
        return Record(words, (*self.record.arrays, centredness))

    def density(self, position: np.ndarray) -> tuple[int, float, np.ndarray]:
        """Status, log density and gradient (n_dim,) at `position` (n_dim,) float64."""
        lp, gradient = np.zeros(1), np.zeros(self.n_dim)
        words = position.ctypes.data, lp.ctypes.data, gradient.ctypes.data, self.data
        status = _call(self.code.in_python, self._density, *words)
        self.release()
        return status, float(lp[0]), gradient

    def repeated(self, position: np.ndarray) -> Callable[[int], int]:
        """Make a function that evaluates density and gradient at `position`, for measuring.

        It takes how many times, runs without the GIL, in buffers of its own, and returns how many of them failed.
        As in a run, the code keeps memory from one call to the next, until `release`.
        """
        q, lp, gradient = np.array(position, dtype=np.float64), np.zeros(1), np.zeros(self.n_dim)
        loop = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 6)(self.code.address("repeat"))
        density = self.code.address("density")

        def repeat(count: int) -> int:
            words = density, q.ctypes.data, lp.ctypes.data, gradient.ctypes.data, self.data, count
            return _call(self.code.in_python, loop, *words)

        return repeat

    def release(self) -> None:
        """Give back the memory that the code keeps from one call to the next, when there are no more calls."""
        self.code.native.release()

    def sentence_of(self, status: int) -> str:
        """Say what a status means; where the model runs Python, with the error that was raised there last."""
        return sentence_of(self.code.in_python, status)

    @property
    def cause(self) -> BaseException | None:
        """The error that was raised last where the model runs Python."""
        return None if self.code.in_python is None else self.code.in_python.error

    def with_blas(self, address: Callable[[str], int]) -> Binding:
        """Bind another copy of the code, on the same data, to the BLAS whose routines have these addresses."""
        code = replace(self.code, native=NativeObject(self.code.native.code, address))
        return replace(self, code=code, record=self.record.with_functions(*_functions(code)))

    def with_teams(self, teams: int) -> Binding:
        """Bind the code to the same data so that the threads of a pool help it (`native/teams.py`)."""
        return replace(self, record=self.record.with_teams(teams))

    def expand(
        self, draws: np.ndarray, threads: int = 1, on_thread: Callable[[], object] | None = None
    ) -> dict[str, np.ndarray]:
        """Compute the reported variables that are not pieces of the position, of draws (..., n_dim), C-contiguous.

        So many `threads` compute a block of draws each, and call `on_thread` first. Gives arrays (..., *shape) by name,
        NaN where an operation of the model fails. Raises ModelError if the shape of one depends on the draw, or an
        operation fails and one is not of floating point.
        """
        if not self.code.expanded:
            return {}
        leading = draws.shape[:-1]
        rows = draws.reshape(-1, self.n_dim)
        shapes = self._expanded_shapes
        dtypes = list(self.code.expanded.values())
        sizes = packed_sizes(dtypes, shapes)
        packed = np.empty((len(rows), sum(sizes)), dtype=np.uint8)
        words = _words(shapes)
        expand = self._expand

        def expand_rows(part: slice) -> int:
            q, out = rows[part], packed[part]
            return expand(q.ctypes.data, len(q), out.ctypes.data, sum(sizes), words.ctypes.data, self.data)

        failed = np.zeros(len(rows), dtype=bool)
        with ExitStack() as stack:
            in_turn: Callable = map
            # Code that runs Python is called in a thread of its own, where no handler of a signal runs.
            if threads > 1 or on_thread is not None or self.code.in_python is not None:
                in_turn = stack.enter_context(ThreadPoolExecutor(threads, initializer=on_thread)).map
            blocks = range(0, len(rows), _EXPAND_BLOCK)
            for status in in_turn(lambda first: _expand_block(expand_rows, first, failed), blocks):
                _check(status, self.code.in_python)
        self.release()
        columns = dict(zip(self.code.expanded, unpack(packed, dtypes, shapes), strict=True))
        if failed.any():
            self._blank(columns, failed)
        return {name: column.reshape(*leading, *column.shape[1:]) for name, column in columns.items()}

    def _blank(self, columns: Mapping[str, np.ndarray], failed: np.ndarray) -> None:
        """Put NaN in the rows where an operation failed: one draw that cannot be reported must not cost the others."""
        why = f"{failed.sum()} of {len(failed)} draws: {self.sentence_of(Status.OP_RAISED)}"
        for name, column in columns.items():
            if column.dtype.kind != "f":
                raise ModelError(f"{name} cannot be computed for {why}.") from self.cause
            column[failed] = np.nan
        _log.warning("%s %s NaN in %s.", ", ".join(columns), "is" if len(columns) == 1 else "are", why)

    @property
    def expanded_bytes(self) -> dict[str, int]:
        """Bytes of each reported variable of one draw, of those that are not pieces of the position."""
        kinds = self.code.expanded
        return dict(zip(kinds, packed_sizes(list(kinds.values()), self._expanded_shapes), strict=True)) if kinds else {}

    @cached_property
    def _expanded_shapes(self) -> list[tuple[int, ...]]:
        ranks = self.code.expanded_ranks
        words = room_for_lengths(ranks)
        status = 0
        for position in (self.inside, np.zeros(self.n_dim)):  # an operation may fail at the first
            arguments = position.ctypes.data, 1, 0, 0, words.ctypes.data, self.data
            status = _call(self.code.in_python, self._expand, *arguments)
            if status != Status.OP_RAISED:
                break
        try:
            _check(status, self.code.in_python)
        except DataMisfit as error:
            names = list(self.code.expanded)
            which = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
            raise DataMisfit(f"{which} cannot be computed, {error.why}") from error.__cause__
        return shapes_of(words, ranks)

    @cached_property
    def _density(self):
        return _at(self.code.address("density"), "density")

    @cached_property
    def _expand(self):
        return _at(self.code.address("expand"), "expand")


def bind(code: Code, start: Sequence[np.ndarray], arrays: Sequence[np.ndarray]) -> Binding:
    """Bind native code to data: evaluate lengths, run `prepare`, and write the record.

    `start` has the initial value of each parameter on the unconstrained scale; `arrays` are in the order of the record.
    Raises ModelError if they do not fit each other.
    """
    shapes = tuple(np.shape(value) for value in start)
    inside = np.concatenate([np.ravel(value).astype(np.float64) for value in start])
    as_written = [np.full(shapes[parameter], written) for parameter, written, _ in code.sites]
    given = [*arrays, *as_written, *_lengths(code, arrays)]
    if code.n_prepared:
        n_before = len(shapes) + len(given)
        given += _prepare(code, fill(code.slots[:n_before], shapes, given), n_before)
    given += _arranged(code, given)
    return Binding(code, shapes, fill(code.slots, shapes, given, *_functions(code)), inside)


def _functions(code: Code) -> tuple[int, int]:
    """Addresses that the record holds; 0 where the model has no such function."""
    return code.address("density"), code.address("sites") if code.sites else 0


def _lengths(code: Code, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    try:
        return code.lengths.evaluate(arrays)
    except CheckFailed as error:
        raise DataMisfit(sentence(Status.OP_RAISED)) from error


def _arranged(code: Code, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    try:
        return arrange(code.arranged, arrays)
    except RowsMisfit as error:
        raise DataMisfit(sentence(Status.OP_RAISED)) from error


def _prepare(code: Code, record: Record, n_before: int) -> list[np.ndarray]:
    slots = code.slots[n_before : n_before + code.n_prepared]
    kinds = [(slot.dtype, slot.ndim) for slot in slots]
    return computed(code.address("prepare"), kinds, record, code.in_python)


def computed(
    address: int, kinds: Sequence[tuple[np.dtype, int]], record: Record, in_python: InPython | None = None
) -> list[np.ndarray]:
    """Run a function in the form of `prepare` twice: for the shapes of what depends on data alone, then for the values.

    Parameters
    ----------
    address : int
        Of the function.
    kinds : sequence of (dtype, rank)
        Of its outputs.
    record : Record
        Of the data that it reads.
    in_python : InPython, optional
        If the function runs Python.

    Raises
    ------
    ModelError
        If the arrays do not fit each other.
    """
    dtypes, ranks = [dtype for dtype, _ in kinds], [rank for _, rank in kinds]
    function = _at(address, "prepare")
    words = room_for_lengths(ranks)
    _check(_call(in_python, function, 0, words.ctypes.data, record.address), in_python)
    shapes = shapes_of(words, ranks)
    packed = np.empty((1, sum(packed_sizes(dtypes, shapes))), dtype=np.uint8)
    _check(_call(in_python, function, packed.ctypes.data, words.ctypes.data, record.address), in_python)
    return [column[0] for column in unpack(packed, dtypes, shapes)]


def _at(address: int, form: str):
    """Make what lies at an address callable: a function in the form of entry `form`."""
    return ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * ENTRY_WORDS[form])(address)


def _call(in_python: InPython | None, function: Callable[..., int], *words: int) -> int:
    return function(*words) if in_python is None else in_python.call(function, *words)


def _check(status: int, in_python: InPython | None) -> None:
    if status:
        cause = None if in_python is None else in_python.error
        raise DataMisfit(sentence_of(in_python, status)) from cause


def _expand_block(expand_rows: Callable[[slice], int], first: int, failed: np.ndarray) -> int:
    """Expand a block of draws, one by one if an operation fails at any of them; note at which it does."""
    block = slice(first, min(first + _EXPAND_BLOCK, len(failed)))
    status = expand_rows(block)
    if status != Status.OP_RAISED:
        return status
    for row in range(block.start, block.stop):
        status = expand_rows(slice(row, row + 1))
        failed[row] = status == Status.OP_RAISED
        if status and not failed[row]:
            return status
    return 0


def _words(shapes: Sequence[tuple[int, ...]]) -> np.ndarray:
    lengths = [length for shape in shapes for length in shape]
    return np.array(lengths or [0], dtype=np.int64)
