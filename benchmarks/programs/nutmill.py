"""nutmill's compiled model."""

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.programs.program import Loop, Program, native_loop
from nutmill import sample_numba

if TYPE_CHECKING:
    import pymc as pm


def compiled(model: "pm.Model") -> Program:
    """Compile `model` with nutmill."""
    import nutmill

    program = nutmill.compile_model(model)
    binding = program.binding
    # int32 (position, logp, gradient, data)
    loop = native_loop(binding.code.native.address("density"), 4, ctypes.c_int32)

    def bind(position: np.ndarray) -> Loop:
        gradient, logp = np.empty_like(position), np.empty(1)
        buffers = (position, logp, gradient)
        return lambda n: loop(n, (*(buffer.ctypes.data for buffer in buffers), binding.data))

    def sample(draws: int, chains: int, cores: int) -> int:
        size = {"draws": draws, "chains": chains, "cores": cores}
        quiet = {"progressbar": False, "compute_convergence_checks": False}
        trace = sample_numba(program, random_seed=1, discard_tuned_samples=False, **quiet, **size)
        return int(sum(trace[group]["n_steps"].sum() for group in ("warmup_sample_stats", "sample_stats")))

    return Program(bind, sample)
