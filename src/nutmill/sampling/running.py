"""Runs in the background: `sample(blocking=False)` begins one in a thread, and its handle sees it and stops it."""

import atexit
import contextvars
import logging
import math
import os
import threading
import time
import weakref
from concurrent.futures import Future, wait
from contextlib import ExitStack
from functools import cache
from numbers import Real
from typing import Any

from nutmill.errors import ArgumentError, SamplingError
from nutmill.progress.status import facts
from nutmill.progress.stderr import unheard
from nutmill.sampling.prepared_run import PreparedRun
from nutmill.sampling.request import Request
from nutmill.sampling.session import sample_session
from nutmill.sampling.steering import USER, Steering

_log = logging.getLogger("nutmill")

# What ends a run, as the attribute `stopped_by` of its result has it, beside those of `steering`.
EXIT, LOST_HANDLE = "exit", "lost_handle"
# How often one who waits looks up, so that Ctrl-C is heard whichever thread the signal met.
_LOOK_S = 0.25


def sample_or_begin(prepared: PreparedRun, stack: ExitStack) -> Any:
    """Sample, and give the result; or with ``blocking=False`` begin to in a thread, and give a handle.

    `stack` closes the folder of the run when the run has ended; a thread takes it over.
    """
    request = prepared.request
    if request.blocking and request.callback is None:
        return sample_session(prepared)
    steering = Steering(prepared.compiled, request.as_json(), request.callback)
    if request.blocking:
        return sample_session(prepared, steering)
    return Running(_start_thread(prepared, steering, stack.pop_all()))


class _Work:
    """What a run in the background and its handle share; the run does not keep the handle alive."""

    def __init__(self, request: Request, steering: Steering, path: os.PathLike | None):
        self.request = request
        self.steering = steering
        self.path = path
        self.outcome: Future = Future()
        self.pid = os.getpid()


def _start_thread(prepared: PreparedRun, steering: Steering, stack: ExitStack) -> _Work:
    work = _Work(prepared.request, steering, None if prepared.folder is None else prepared.folder.path)

    def sample() -> None:
        try:
            with stack:
                result = sample_session(prepared, steering)
        except BaseException as error:
            with unheard():
                _log.error("The run in the background has failed: %s", error)
            work.outcome.set_exception(error)
        else:
            work.outcome.set_result(result)
        finally:
            _under_way.pop(thread, None)

    # Whether progress is shown around this call is a variable of its context.
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(sample,), name="nutmill-run")
    _end_with_the_interpreter()
    _under_way[thread] = steering
    thread.start()
    return work


class Running:
    """A run in the background: what `sample` and `resume` give with ``blocking=False``.

    Its draws are those of a run that blocks, bit for bit. Ctrl-C does not reach it; `stop` ends it. It also ends, with
    its state saved if it has a folder, when the interpreter does, and, without a folder, when nothing refers to this
    handle any more.
    """

    def __init__(self, work: _Work):
        self._work = work
        if work.path is None:  # nobody could ever see the draws
            weakref.finalize(self, work.steering.stop, LOST_HANDLE).atexit = False

    def __repr__(self) -> str:
        state = self.status()
        place = "" if self._work.path is None else f", in {str(self._work.path)!r}"
        n_chains = len(self._work.request.chain_ids)
        counts = f"{state['draws']} of {state['draws_requested']} draws of each of {n_chains} chains"
        return f"<nutmill.Running: {state['phase']}, {counts}, {state['divergences']} divergences{place}>"

    def status(self) -> dict[str, Any]:
        """Tell how the run is doing, as of a quarter of a second ago.

        Returns
        -------
        dict
            With the names of `nutmill.status`, apart from what concerns a folder: ``phase`` ("waiting", "warmup",
            "sampling", "finished", "stopped" or "failed"), ``stopped_by``, ``is_running``, ``draws`` that all chains
            have, of ``draws_requested``, ``divergences``, ``gradients_per_s``, ``left_s``, and ``chains``, a dict each.
        """
        outcome, steering = self._work.outcome, self._work.steering
        known = facts(steering.views, _phase_of(outcome, steering), _stopped_by(outcome))
        return {**known, "draws_requested": self._work.request.draws, "is_running": not outcome.done()}

    def draws(self) -> Any:
        """Give the draws so far, which all chains have, as a result; at the end the result itself.

        Returns
        -------
        xarray.DataTree or arviz.InferenceData
            With posterior, statistics and data; no draws while a chain is in its warmup. What the model computes of
            its parameters is computed for all draws in each call.

        Raises
        ------
        NutmillError
            As `wait`, if the run has failed.
        """
        self._check_process()
        return self._work.outcome.result() if self._work.outcome.done() else self._work.steering.draws()

    def stop(self, timeout: float | None = None) -> Any:
        """End the run after the draws under way.

        Parameters
        ----------
        timeout
            As in `wait`.

        Returns
        -------
        xarray.DataTree or arviz.InferenceData
            The result, with the draws that there are.

        Raises
        ------
        ArgumentError, TimeoutError, NutmillError
            As `wait`.
        """
        self._work.steering.stop(USER)
        return self.wait(timeout)

    def wait(self, timeout: float | None = None) -> Any:
        """Wait for the result. Ctrl-C ends the wait, not the run.

        Parameters
        ----------
        timeout
            Seconds; None waits to the end.

        Returns
        -------
        xarray.DataTree or arviz.InferenceData
            As `sample` gives it.

        Raises
        ------
        ArgumentError
            If `timeout` is no number of seconds.
        TimeoutError
            If the run has not ended by then; it goes on.
        NutmillError
            What has ended the run, if it has failed.
        """
        is_number = isinstance(timeout, Real) and not isinstance(timeout, bool)
        if timeout is not None and not (is_number and timeout >= 0):
            raise ArgumentError(f"timeout must be a number of seconds, or None to wait to the end, not {timeout!r}.")
        self._check_process()
        outcome, end_s = self._work.outcome, math.inf if timeout is None else time.monotonic() + timeout
        while not outcome.done():
            if (left_s := end_s - time.monotonic()) <= 0.0:
                raise TimeoutError(f"The run has not ended after {timeout:g} s. It goes on: wait again, or stop it.")
            wait((outcome,), min(left_s, _LOOK_S))
        return outcome.result()

    def _check_process(self) -> None:
        if os.getpid() != self._work.pid:
            raise SamplingError("This run goes on in the process that began it, of which this one is a fork.")


def _phase_of(outcome: Future, steering: Steering) -> str:
    if outcome.done():
        failed = outcome.exception() is not None
        return "failed" if failed else "stopped" if outcome.result().attrs["interrupted"] else "finished"
    if steering.snapshot is None:
        return "waiting"
    return "warmup" if steering.snapshot.phase == "warmup" else "sampling"


def _stopped_by(outcome: Future) -> str | None:
    is_there = outcome.done() and outcome.exception() is None
    return outcome.result().attrs.get("stopped_by") if is_there else None


_under_way: dict[threading.Thread, Steering] = {}


@cache
def _end_with_the_interpreter() -> None:
    """Let runs end before the interpreter takes away the threads of executors, which `atexit` is too late for."""
    getattr(threading, "_register_atexit", atexit.register)(_end_all)


def _end_all() -> None:
    for thread, steering in list(_under_way.items()):
        steering.stop(EXIT)
        thread.join()
