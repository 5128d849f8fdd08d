"""Runs WALNUTS, through walnutpie, on the density and gradient that nutmill compiles.

walnutpie takes a C function. Ours has other arguments, so a small one stands between, which counts its calls, too.
"""

import ctypes
import warnings
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from nutmill.comparison.resources import peak_rss_mb, timed, timed_apart
from nutmill.comparison.samplers.contract import SamplerRun, Size

if TYPE_CHECKING:
    import pymc as pm

    from nutmill import CompiledModel


def run(model: "pm.Model", size: Size) -> SamplerRun:
    """Sample `model` with WALNUTS at its defaults, but for the number of draws: it would stop at R-hat 1.01 or 1000.

    It tells how many draws the warmup took, which ends when chains agree, and neither divergences nor gradients. These
    are counted, and told apart from those of the warmup in proportion to the draws.
    """
    (nutmill, walnutpie), imported = timed(lambda: [import_module(name) for name in ("nutmill", "walnutpie")])

    def prepare() -> tuple:
        program = nutmill.compile_model(model)
        return program, *counted_density(program)

    (program, density, calls), compiled, further = timed_apart(prepare)
    starts = program.starts(None, size.chains, size.seed, jitter=True)
    warmup = {} if size.tune is None else {"min_warmup_iter": size.tune, "max_warmup_iter": size.tune}
    draws = {"min_sampling_iter": size.draws, "max_sampling_iter": size.draws, "save_warmup": True}
    target = (walnutpie.logp_cfunc_type(density), ctypes.c_void_p(program.binding.data))
    sizes = {"num_params": program.n_dim, "num_chains": size.chains, "seed": size.seed, **draws, **warmup}

    def sample() -> tuple:
        with warnings.catch_warnings():
            # That chains which agree on an end of the warmup do so as their threads come along.
            warnings.simplefilter("ignore", UserWarning)
            chains = walnutpie.walnuts_pyfunc(target, inits=starts, **sizes)
        return chains, program.expand(np.stack([np.asarray(chain) for chain in chains]), size.cores)

    (chains, values), sampled, lately = timed_apart(sample)
    n_warmup = sum(len(chain.warmup.warmup_draws) for chain in chains)
    trace = _groups(values, int(calls[0]), (n_warmup, size.chains, size.draws))
    return SamplerRun(
        imported.plus(further).plus(lately), compiled, sampled, peak_rss_mb(), trace, program.code.from_cache
    )


def counted_density(program: "CompiledModel") -> tuple[int, np.ndarray]:
    """Compile what calls a model's log density with the arguments that walnutpie and nutpie give it.

    Returns the address of a C function ``int32(n_dim, position, gradient, logp, data)``, which is zero where all is
    well and lasts as long as the process; `data` is that of the program's binding. And a (1,) int64 array: how often
    all threads have called it.
    """
    import numba
    from llvmlite import ir
    from numba.extending import intrinsic

    native = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)(program.binding.code.native.address("density"))
    calls = np.zeros(1, np.int64)
    place = calls.ctypes.data

    @intrinsic
    def count(typing_context):
        def write(context, builder, signature, arguments):
            word = ir.IntType(64)
            counter = builder.inttoptr(ir.Constant(word, place), word.as_pointer())
            builder.atomic_rmw("add", counter, ir.Constant(word, 1), "monotonic")
            return context.get_dummy_value()

        return numba.types.void(), write

    @numba.cfunc(numba.types.int32(numba.types.uintp, *[numba.types.voidptr] * 4))
    def density(n_dim, position, gradient, logp, data):
        count()
        return native(position, logp, gradient, data)

    _kept.append((density, calls, native))
    return density.address, calls


# Machine code that walnutpie may call goes when its owner does.
_kept: list[tuple] = []


def _groups(values: dict, n_calls: int, sizes: tuple[int, int, int]) -> dict[str, xr.Dataset]:
    """Put the draws into the groups of a trace; `sizes` are draws of all warmups, chains, and draws of each."""
    n_warmup, n_chains, n_draws = sizes
    sampled = ("chain", "draw")
    posterior = {
        name: ((*sampled, *(f"{name}_dim_{axis}" for axis in range(array.ndim - 2))), array)
        for name, array in values.items()
    }
    each = n_calls / (n_warmup + n_chains * n_draws)
    stats = {
        "n_steps": (sampled, np.full((n_chains, n_draws), each)),
        "diverging": (sampled, np.zeros((n_chains, n_draws), bool)),
    }
    return {
        "posterior": xr.Dataset(posterior, attrs={"tuning_steps": n_warmup // n_chains}),
        "sample_stats": xr.Dataset(stats),
        "warmup_sample_stats": xr.Dataset({"n_steps": (sampled, np.full((1, n_warmup), each))}),
    }
