"""Runs the samplers on a model, one process at a time, in turn, and yields what each run has measured."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from nutmill.comparison.process_group import run_in_group
from nutmill.comparison.samplers import SAMPLERS
from nutmill.comparison.samplers.contract import Size

COLD, WARM = "cold", "warm"

_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Warning): ")


class ComparedModel(NamedTuple):
    """What the processes run: a module like `nutmill.comparison.cell`, and what its loader turns into the model.

    `program` is the path of a Stan program of the same model, for samplers that need one.
    """

    module: str
    model: object
    program: str | None = None


class ComparisonSettings(NamedTuple):
    """What is compared, how much each run draws, how often, with which first seed, and the time limit of a process."""

    samplers: tuple[str, ...]
    draws: int
    chains: int
    cores: int
    repeats: int
    seed: int
    limit_s: float


def measure(
    source: ComparedModel, settings: ComparisonSettings, say: Callable[[str], None] = lambda text: None
) -> Iterator[dict]:
    """Yield a row for every run, as it ends; `say` is called with what runs next.

    The first run of a sampler finds caches that know the sampler and not the model; later ones know both. Samplers take
    turns, and another one begins each round. One that fails, or takes too long, is not run again.

    A row has `sampler`, `repeat` (from 0), `caches`, and either `measurement` (see `cell.reduced`) or `failure`, a
    sentence.
    """
    with tempfile.TemporaryDirectory(prefix="nutmill-compare-") as scratch:
        alive = list(settings.samplers)
        for sampler in settings.samplers:
            if SAMPLERS[sampler].reads_program:
                continue  # nothing but a program's own code is compiled
            say(f"Making {sampler} ready")
            _run(ComparedModel(source.module, None), sampler, settings, Path(scratch), 0)
        for repeat in range(settings.repeats if settings.samplers else 0):
            first = repeat % len(settings.samplers)
            for sampler in settings.samplers[first:] + settings.samplers[:first]:
                if sampler not in alive:
                    continue
                say(f"Round {repeat + 1} of {settings.repeats}: {SAMPLERS[sampler].title}")
                measured = _run(source, sampler, settings, Path(scratch), repeat)
                if "failure" in measured:
                    alive.remove(sampler)
                yield {"sampler": sampler, "repeat": repeat, "caches": WARM if repeat else COLD, **measured}


def _run(source: ComparedModel, sampler: str, settings: ComparisonSettings, scratch: Path, repeat: int) -> dict:
    is_priming = source.model is None
    draws = 10 if is_priming else settings.draws
    size = Size(draws, settings.chains, settings.cores, settings.seed + repeat, tune=10 if is_priming else None)
    options = {"program": source.program} if SAMPLERS[sampler].reads_program else {}
    caches, limit_s = scratch / sampler, settings.limit_s
    return run_sampler(source.module, source.model, sampler, size, caches, limit_s=limit_s, options=options)


def run_sampler(
    module: str, model: object, sampler: str, size: Size, caches: Path, *, limit_s: float, options: Mapping[str, object]
) -> dict:
    """Sample a model once in a process of its own, whose compile caches lie in a folder; see `run_module`.

    `module` hands `cell.main` a loader of models, which turns `model` into one; `options` are the sampler's, besides
    its own.
    """
    request = {
        "model": model,
        "sampler": sampler,
        "size": size._asdict(),
        "options": options,
        "begun": time.monotonic(),
    }
    return run_module(module, request, variables_of(sampler, size.chains, caches), limit_s)


def variables_of(sampler: str, chains: int, caches: Path) -> dict[str, str]:
    """Return the environment of a process that samples so many chains, and has its compile caches in a folder."""
    variables = environment(caches)
    own = {name: value.format(chains=chains, caches=caches) for name, value in SAMPLERS[sampler].variables.items()}
    flags = [flag for flag in (variables["PYTENSOR_FLAGS"], own.pop("PYTENSOR_FLAGS", "")) if flag]
    return variables | own | {"PYTENSOR_FLAGS": ",".join(flags)}


def environment(folder: Path) -> dict[str, str]:
    """Return this process's environment with every compile cache of the samplers moved below `folder`.

    Python keeps what it compiles of their sources, as it does where they are installed; a checkout under
    ``PYTHONDONTWRITEBYTECODE`` would be compiled anew by every process.
    """
    flags = [flag for flag in os.environ.get("PYTENSOR_FLAGS", "").split(",") if flag]
    flags = [flag for flag in flags if not flag.startswith("base_compiledir=")]
    moved = {
        "PYTENSOR_FLAGS": ",".join([*flags, f"base_compiledir={folder / 'pytensor'}"]),
        "NUTMILL_CACHE_DIR": str(folder / "nutmill"),
        "NUTMILL_CACHE_LIMIT": "1G",  # a user's own limit might keep nothing, and warm would be cold
        "NUMBA_CACHE_DIR": str(folder / "numba"),
    }
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | moved


def run_module(module: str, request: dict, variables: dict[str, str], limit_s: float) -> dict:
    """Run `python -m module REQUEST ANSWER` to its end, in the folder of this process.

    The module's `main` takes the JSON text of `request` and writes JSON to the file `ANSWER`. `variables` are its
    environment. After `limit_s` seconds of wall time it and the processes that it started are ended; as they are when
    this process ends, however it does. Gives either `measurement`, the answer, or `failure`, a sentence on why there is
    none.
    """
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "answer.json"
        failure = _execute([module, json.dumps(request), str(answer)], variables, limit_s)
        return {"failure": failure} if failure else {"measurement": json.loads(answer.read_text())}


def _execute(arguments: list[str], variables: dict[str, str], limit_s: float) -> str | None:
    """Run a module's process to its end and return None, or a sentence on why it has no result."""
    try:
        code, errors = run_in_group([sys.executable, "-m", *arguments], variables, limit_s)
    except subprocess.TimeoutExpired:
        return f"no result within {limit_s:g} s"
    return explain(code, errors)


def explain(code: int, errors: str) -> str | None:
    """Say why a process that ended with `code` and wrote `errors` has failed; None if it has not."""
    if code == 0:
        return None
    if code < 0:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    # A message may go on for many lines; its first one names the exception.
    named = [line for line in lines if _EXCEPTION.match(line)]
    if named:
        return named[-1]
    return lines[-1] if lines else f"ended with status {code} and said nothing"
