"""Records what a gradient calls of BLAS and LAPACK: which routines, on which sizes, how long each call takes.

Native code calls them through slots. A copy of it is bound to routines of ours, which note the sizes, and time the
routine that they stand for.
"""

import ctypes
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nutmill.errors import ModelError
from nutmill.native.binding import Binding
from nutmill.native.routines import BLAS, LAPACK, address

_ARGUMENTS = BLAS | LAPACK

# Each gradient is watched this often, and its calls' least times are taken: others disturb, nothing helps.
_REPEATS = 5


class _Form(NamedTuple):
    """Where a routine has its sizes among its arguments, and the floating-point operations that they mean."""

    sizes: tuple[int, ...]
    flops: Callable[..., float]
    workspace: int | None = None  # its length, which is -1 in a call that only asks for it


# Counts of leading order, as in LAPACK Working Note 41.
_FORMS = {
    "dgemv": _Form((1, 2), lambda m, n: 2.0 * m * n),
    "dgemm": _Form((2, 3, 4), lambda m, n, k: 2.0 * m * n * k),
    "sgemv": _Form((1, 2), lambda m, n: 2.0 * m * n),
    "sgemm": _Form((2, 3, 4), lambda m, n, k: 2.0 * m * n * k),
    "dtrsm": _Form((4, 5), lambda m, n: 1.0 * m * m * n),
    "dsyrk": _Form((2, 3), lambda n, k: 1.0 * n * n * k),
    "dpotrf": _Form((1,), lambda n: n**3 / 3.0),
    "dpotri": _Form((1,), lambda n: 2.0 * n**3 / 3.0),
    "dgetrf": _Form((0, 1), lambda m, n: m * n * n - n**3 / 3.0),
    "dgetrs": _Form((1, 2), lambda n, k: 2.0 * n * n * k),
    "dgetri": _Form((0,), lambda n: 4.0 * n**3 / 3.0, 5),
    "dgtsv": _Form((0, 1), lambda n, k: (3.0 + 5.0 * k) * n),
    "dsyevd": _Form((2,), lambda n: 9.0 * n**3, 7),
    "dgeqrf": _Form((0, 1), lambda m, n: 2.0 * m * n * n - 2.0 * n**3 / 3.0, 6),
    "dorgqr": _Form((0, 1, 2), lambda m, n, k: 4.0 * m * n * k - 2.0 * (m + n) * k * k + 4.0 * k**3 / 3.0, 7),
}


class BlasCall(NamedTuple):
    """Calls of one routine on operands of the same sizes, within one gradient."""

    routine: str  # its Fortran name
    sizes: tuple[int, ...]  # the routine's first integers: (m, n, k) of dgemm, (n,) of dpotrf
    count: int  # type: ignore[assignment]  # hides the method of tuples, which nobody calls here
    seconds: float  # that all of them take
    flops: float  # floating-point operations of all of them


def call_name(call: BlasCall) -> str:
    """Write a call with its sizes, as dgemm(200, 200, 1) x 3."""
    return f"{call.routine}({', '.join(map(str, call.sizes))})" + (f" x {call.count}" if call.count > 1 else "")


def record_calls(binding: Binding, position: np.ndarray, original: Callable[[str], int] = address) -> list[BlasCall]:
    """Evaluate density and gradient at `position` (n_dim,), and return the calls that this makes, the longest first.

    `original` gives the address of a routine by its name: those that are timed. Raises ModelError if the model runs
    through a pointer, in Numba's own engine: there its calls cannot be seen.
    """
    if not binding.code.fused:
        raise ModelError("Calls of BLAS can only be watched in fused code, and this model runs through a pointer.")
    recorder = _Recorder(original)
    watched = binding.with_blas(recorder.address)
    runs = []
    for _ in range(_REPEATS + 1):
        recorder.seen.clear()
        watched.density(position)
        runs.append(_summed(recorder.seen))
    first, *others = runs  # the first one wakes the library up
    best = {key: min(run[key][1] for run in others) for key in first}
    calls = [
        BlasCall(routine, sizes, count, best[routine, sizes], count * _FORMS[routine].flops(*sizes))
        for (routine, sizes), (count, _) in first.items()
    ]
    return sorted(calls, key=lambda call: -call.seconds)


class _Recorder:
    """Gives addresses of functions that note each call and make it."""

    def __init__(self, original: Callable[[str], int]):
        self._original = original
        self.seen: list[tuple[str, tuple[int, ...], float]] = []
        self._kept: dict[str, Any] = {}

    def address(self, routine: str) -> int:
        """Address of a function with the calling convention of `routine`."""
        if routine not in self._kept:
            self._kept[routine] = self._watching(routine)
        return ctypes.cast(self._kept[routine], ctypes.c_void_p).value or 0

    def _watching(self, routine: str) -> Any:
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(_ARGUMENTS[routine]))
        original, form = kind(self._original(routine)), _FORMS[routine]

        def call(*arguments: int) -> None:
            begin = time.perf_counter()
            original(*arguments)
            seconds = time.perf_counter() - begin
            if form.workspace is None or _integer(arguments[form.workspace]) != -1:
                self.seen.append((routine, _sizes(routine, arguments), seconds))

        return kind(call)


def _sizes(routine: str, arguments: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(_integer(arguments[place]) for place in _FORMS[routine].sizes)
    # The triangle of dtrsm is n by n, not m by m, where it stands on the right.
    on_right = routine == "dtrsm" and ctypes.c_char.from_address(arguments[0]).value in b"Rr"
    return sizes[::-1] if on_right else sizes


def _integer(place: int) -> int:
    return ctypes.c_int32.from_address(place).value


def _summed(seen: Sequence[tuple[str, tuple[int, ...], float]]) -> dict[tuple[str, tuple[int, ...]], tuple[int, float]]:
    totals: dict[tuple[str, tuple[int, ...]], tuple[int, float]] = {}
    for routine, sizes, seconds in seen:
        count, spent = totals.get((routine, sizes), (0, 0.0))
        totals[routine, sizes] = (count + 1, spent + seconds)
    return totals
