"""Ctrl-C while a model compiles, at the moment at which Python drops it: within a callback from native code."""

import ctypes
import signal
import threading

import numba
import pytest
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from nutmill import compile_model


@ctypes.CFUNCTYPE(None)
def interrupt():
    """Stands for llvmlite's callback, the first Python code that runs after a signal during LLVM's work."""
    signal.raise_signal(signal.SIGINT)


@intrinsic
def interrupted(typingctx):
    def codegen(context, builder, signature, args):
        interrupt()
        return ir.Constant(ir.DoubleType(), 0.0)

    return types.float64(), codegen


def density():
    """Make an njit density, new to Numba, whose compile meets the interrupt."""

    @numba.njit
    def normal(q, gradient, data):
        gradient[0] = -q[0]
        return interrupted() - 0.5 * q[0] * q[0]

    return normal


def flat():
    """Make an njit density that meets none."""
    return numba.njit(lambda q, gradient, data: 0.0)


def test_an_interrupt_that_is_dropped_while_compiling_is_raised_afterwards_and_not_printed():
    with pytest.raises(KeyboardInterrupt):
        compile_model(density(), n_dim=1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_interrupts_nothing_is_raised():
    assert compile_model(flat(), n_dim=1).n_dim == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_another_handler_raises_comes_too():
    def end(number, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGINT, end)
    try:
        with pytest.raises(TimeoutError):
            compile_model(density(), n_dim=1)
        assert signal.getsignal(signal.SIGINT) is end
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_handler_of_the_user_stays_in_charge():
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        assert compile_model(density(), n_dim=1).n_dim == 1
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_other_threads_cannot_set_handlers_and_compile_all_the_same():
    compiled = []
    thread = threading.Thread(target=lambda: compiled.append(compile_model(flat(), n_dim=1)))
    thread.start()
    thread.join()
    assert compiled[0].n_dim == 1
