"""Calls models that run Python: keeps the error that was raised, one thread at a time, signal handlers left out."""

import _thread
import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

from nutmill.errors import Status, sentence

# One for all models, because operations of two of them may share what only one thread may use. The GIL does not do
# this: it changes hands within an operation. The thread that has its turn may enter again: an operation of one model
# may evaluate another.
_TURN = threading.RLock()

# What a function of Numba's returns when it has raised.
_RAISED = 1


class InPython:
    """Stands between the kernel and code of a model that calls back into Python.

    An error that Python raises there would stay set in the thread, and end up in whatever Python does next; here it is
    `error`, until the next `call`. With `one_at_a_time` one point is evaluated at a time, whatever threads, runs and
    models ask for it.
    """

    def __init__(self, *, one_at_a_time: bool):
        self.error: BaseException | None = None
        self._turn = _TURN if one_at_a_time else nullcontext()

    def around(self, address: int, n_words: int) -> tuple[int, object]:
        """Wrap a function in Numba's engine, of so many words: the address of another like it, and what keeps that."""
        # Where the result goes and where an exception goes come before the words.
        form = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * (n_words + 2))
        function = form(address)
        wrapped = form(lambda *words: self._evaluated(function, words))
        return ctypes.cast(wrapped, ctypes.c_void_p).value or 0, wrapped

    def call(self, function: Callable[..., int], *words: int) -> int:
        """Call native code once, from any thread; `error` is then that of this call."""
        self.error = None
        return _away_from_signals(lambda: function(*words))

    def _evaluated(self, function: Callable, words: tuple[int, ...]) -> int:
        with self._turn:
            raised = self._raised(function, words)
            if isinstance(raised, KeyboardInterrupt):
                # Ctrl-C ends a run after the draws under way, which need this point: once more, as if nothing had been.
                _thread.interrupt_main()
                raised = self._raised(function, words)
        if not isinstance(raised, BaseException):
            return raised
        self.error = raised
        return _RAISED

    @staticmethod
    def _raised(function: Callable, words: tuple[int, ...]) -> int | BaseException:
        try:
            return function(*words)
        except SystemError as error:
            # Python's word for a call that returns although an error is set; the error is its cause.
            return error.__cause__ or error


def _away_from_signals(call: Callable[[], int]) -> int:
    """Call in a thread in which no handler of a signal runs, and wait for it: it ends before an interrupt is raised.

    A handler that raises between native code and an operation is printed and dropped by ctypes, and the result of the
    evaluation is then anything.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(call).result()


def sentence_of(in_python: InPython | None, status: int) -> str:
    """Say what a status means, with the error that Python raised last if there was one."""
    if in_python is None or in_python.error is None:
        return sentence(status)
    raised = f"an operation of the model raised {_described(in_python.error)}"
    return raised if status == Status.OP_RAISED else f"{sentence(status)}; {raised}"


def _described(error: BaseException) -> str:
    """Give type and message of an error, in one line."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
