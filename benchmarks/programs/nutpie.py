"""nutpie's compiled model: the C function that its sampler calls, and its sampler."""

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.programs.program import Loop, Program, native_loop

if TYPE_CHECKING:
    import pymc as pm


def compiled(model: "pm.Model") -> Program:
    """Compile `model` with nutpie."""
    import nutpie

    program = nutpie.compile_pymc_model(model)
    # int64 (n_dim, position, gradient, logp, data)
    loop = native_loop(program.compiled_logp_func.address, 5, ctypes.c_int64)

    def bind(position: np.ndarray) -> Loop:
        gradient, logp = np.empty_like(position), np.empty(1)
        buffers = (position, gradient, logp, program.user_data)
        return lambda n: loop(n, (position.size, *(buffer.ctypes.data for buffer in buffers)))

    def sample(draws: int, chains: int, cores: int) -> int:
        size = {"draws": draws, "chains": chains, "cores": cores}
        trace = nutpie.sample(program, seed=1, progress_bar=False, save_warmup=True, **size)
        return int(sum(trace[group]["n_steps"].sum() for group in ("warmup_sample_stats", "sample_stats")))

    return Program(bind, sample)
