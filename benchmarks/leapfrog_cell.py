"""Times leapfrog steps of settled chains and bare gradients of one model, in a process of its own."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from runpy import run_path

import numpy as np

from benchmarks import models
from benchmarks.gradient_cell import starting_position
from nutmill import compile_model
from nutmill.run import groups

N_CHAINS, SEED = 4, 1
# Trajectories of seven steps, too short to turn: so a step has the same share of the work for each draw, whatever
# warmup has come to.
MAX_TREEDEPTH, SHORTER = 3, 1 / 8
# So short that on a busy machine some are not disturbed.
BURST_S = 2e-3


def main(request: str, answer: str) -> None:
    """Time what the JSON text `request` asks for and write it to the file `answer`.

    The request holds model (a name of the suite, or `file.py:name`), bursts (how many, of each kind), and centring:
    what to sample with, or null, where nutmill is older than that argument.
    """
    cell = json.loads(request)
    model = _model(cell["model"])
    compiled = compile_model(model)
    measured = {"gradient_us": bare_gradient(compiled, starting_position(model), cell["bursts"])}
    # As `sample` does: where nothing can be centred, nothing is tried.
    has_sites = bool(getattr(compiled.code, "sites", ()))
    centring = cell["centring"] if has_sites or cell["centring"] is None else "off"
    measured |= leapfrog(compiled, {} if centring is None else {"centring": centring}, cell["bursts"])
    Path(answer).write_text(json.dumps(measured))


def bare_gradient(compiled, position: np.ndarray, bursts: int) -> float:
    """CPU microseconds of one gradient of the model as it is written: the least of all bursts."""
    repeat, count = compiled.binding.repeated(position), 1
    while _cpu_s(repeat, count) < BURST_S:
        count *= 2
    return min(_cpu_s(repeat, count) for _ in range(bursts)) / count * 1e6


def leapfrog(compiled, choices: dict, bursts: int) -> dict:
    """Sample until warmup is over, then measure the same few draws again and again, at shorter steps.

    Returns
    -------
    dict
        CPU microseconds of one step (of the least of all bursts, with the tree and the keeping of draws), steps of one
        draw, and how many centrednesses are neither 0 nor 1.
    """
    settings = groups.Settings(draws=100_000 // compiled.n_dim + 10, tune=None, **choices)
    chains = list(range(N_CHAINS))
    starts = compiled.starts(None, N_CHAINS, SEED, jitter=True)
    made = groups.new_groups([compiled.binding], starts, settings, SEED, chains)
    group = made[0][0] if isinstance(made, tuple) else made[0]  # a tuple, where nutmill is older
    for chain in chains:
        group.start(chain)
    group.pool()
    while not group.is_sampling:
        for chain in chains:
            group.advance(chain, group.n_missing(chain))
        group.pool()
    group.state.settings["max_treedepth"] = MAX_TREEDEPTH
    group.state.chains["log_step"] += np.log(SHORTER)
    count, spent_s = 1, 0.0
    while count < settings.draws and spent_s < BURST_S:
        count = min(2 * count, settings.draws)
        spent_s = _burst(group, 0, count)[0]
    each = [min(_burst(group, chain, count) for _ in range(bursts)) for chain in chains]
    seconds, steps = np.sum(each, axis=0)
    between = getattr(group.state, "centredness", np.zeros(0))
    return {
        "leapfrog_us": seconds / steps * 1e6,
        "steps": steps / (N_CHAINS * count),
        "between": int(((between > 0.0) & (between < 1.0)).sum()) // N_CHAINS,
    }


def _burst(group: groups.Group, chain: int, draws: int) -> tuple[float, int]:
    """CPU seconds and steps of some draws of a chain, which is then brought back to where it was."""
    state = group.state
    changing = state.chains, state.rng, state.position, state.gradient
    before = [array[chain].copy() for array in changing]
    seconds = _cpu_s(group.advance, chain, draws)
    steps = int(state.chains[chain]["n_gradients"] - before[0]["n_gradients"])
    for array, values in zip(changing, before, strict=True):
        array[chain] = values
    return seconds, steps


def _cpu_s(work: Callable[..., object], *arguments: int) -> float:
    before = time.thread_time()
    work(*arguments)
    return time.thread_time() - before


def _model(name: str):
    file, _, variable = name.partition(":")
    return run_path(file)[variable] if variable else models.build(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
