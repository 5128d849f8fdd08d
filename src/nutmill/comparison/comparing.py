"""`nutmill.compare`: every sampler on your model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nutmill.comparison import machine
from nutmill.comparison.comparison import Comparison
from nutmill.comparison.rounds import ComparedModel, ComparisonSettings, measure
from nutmill.comparison.samplers import SAMPLERS, STAN, TESTED, USUAL, untested
from nutmill.comparison.summary import Summary, summarize
from nutmill.comparison.tables import install
from nutmill.errors import ArgumentError, ModelError
from nutmill.layout.machine.topology import topology

if TYPE_CHECKING:
    import pymc as pm

# Runs of one sampler that differ by more than this were disturbed.
_MAX_SPREAD = 1.3
_MAX_LOAD = 0.5


def compare(
    model: pm.Model,
    *,
    samplers: Sequence[str] | None = None,
    draws: int = 1000,
    chains: int = 4,
    cores: int | None = None,
    repeats: int = 3,
    random_seed: int = 1,
    limit_s: float = 600.0,
    stan: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Sample a model with nutmill and its peers, each run in a process of its own, and say what each has cost.

    Parameters
    ----------
    model : pm.Model
        It is sent to the processes as a pickle.
    samplers : sequence of str, optional
        Names of `samplers.SAMPLERS`. Default: all that are installed.
    draws, chains : int
        Of each run: at least 4 and 2. Warmups are as long as the samplers' defaults.
    cores : int, optional
        Cores of each run. Default: all that this process should use, by affinity, quota and batch scheduler.
    repeats : int
        Runs of each sampler: the first on a model that no cache knows, the others on a known one.
    random_seed : int
        Of the first runs; others count on from it.
    limit_s : float
        Seconds after which a process is ended, and its sampler given up.
    stan : path, optional
        A Stan program of the same model, with variables called alike, to be run too; its data are the file of the same
        name that ends in ``.json``.
    progress : callable, optional
        Called with a line that says what runs next.

    Returns
    -------
    Comparison

    Raises
    ------
    ArgumentError
        It is no pm.Model, there is no such sampler or Stan program, one that is named is not installed, or too few
        draws or chains are asked for.
    ModelError
        The model cannot be sent to another process.
    """
    if not hasattr(model, "free_RVs"):
        raise ArgumentError(f"A pm.Model can be compared, which all samplers know, not {model!r}.")
    with tempfile.TemporaryDirectory() as folder:
        sent = str(_pickled(model, Path(folder) / "model.pickle"))
        source = ComparedModel("nutmill.comparison.cell", sent, os.path.abspath(stan) if stan else None)
        settings = ComparisonSettings((), draws, chains, usable_cores(cores), repeats, random_seed, limit_s)
        return compare_source(source, model.name or "model", settings, samplers, progress)


def compare_source(
    source: ComparedModel,
    title: str,
    settings: ComparisonSettings,
    samplers: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Do what `compare` does with a model that the processes load themselves; fills the samplers of `settings`."""
    usual = USUAL if source.program is None else (*USUAL, STAN)
    names = tuple(samplers or usual)
    if unknown := [name for name in names if name not in SAMPLERS]:
        raise ArgumentError(f"There is no sampler {unknown[0]!r} to compare; choose among {', '.join(SAMPLERS)}.")
    _check_sizes(settings)
    _check_program(names, source.program)
    missing = {name: packages for name in names if (packages := SAMPLERS[name].missing())}
    for name in missing if samplers else ():
        raise ArgumentError(f"{name} cannot be compared, because it is not installed: {install(missing[name])}.")
    settings = settings._replace(samplers=tuple(name for name in names if name not in missing))
    date, load = datetime.now(UTC).isoformat(timespec="seconds"), os.getloadavg()[0]
    rows = list(measure(source, settings, progress))
    summaries = summarize(rows, settings.samplers)
    notes = [*_notes_on_versions(settings.samplers), *_notes_on_load(summaries, load)]
    return Comparison(title, date, settings, machine.identity(), rows, summaries, missing, notes)


def usable_cores(wanted: int | None) -> int:
    """Return how many cores a run may have: as many as are wanted and this process should use; None wants all."""
    usable = topology().n_cores
    return usable if wanted is None else min(wanted, usable)


def _check_sizes(settings: ComparisonSettings) -> None:
    # What effective sample sizes and R-hat need.
    for name, least in (("draws", 4), ("chains", 2), ("repeats", 1)):
        if (value := getattr(settings, name)) < least:
            raise ArgumentError(f"{name} must be at least {least} to compare samplers, not {value}.")


def _check_program(names: Sequence[str], program: str | None) -> None:
    if STAN in names and program is None:
        raise ArgumentError("Stan samples a program of its own: name the file, as in stan='model.stan'.")
    if program is not None and not Path(program).is_file():
        raise ArgumentError(f"There is no Stan program {program}.")


def _pickled(model: pm.Model, path: Path) -> Path:
    import cloudpickle  # a dependency of PyMC

    try:
        path.write_bytes(cloudpickle.dumps(model))
    except Exception as error:  # whatever the parts of a model raise
        raise ModelError(
            f"The model cannot be sent to another process ({error}): "
            "put it into a file, and use `nutmill compare file.py:name`."
        ) from error
    return path


def _notes_on_versions(names: Sequence[str]) -> list[str]:
    return [
        f"{package} {version} is installed; this nutmill was tested with {' and '.join(TESTED[package])}x: "
        "what its rows say may have another meaning."
        for package, version in untested(names).items()
    ]


def _notes_on_load(summaries: Sequence[Summary], load: float) -> list[str]:
    notes = []
    if load > _MAX_LOAD:
        notes.append(f"Other work ran on this machine at the start (load average {load:.1f}): times are too long.")
    unsteady = [each for each in summaries if each.spread > _MAX_SPREAD]
    notes += [
        f"The runs of {each.sampler} took from 1 to {each.spread:.1f} times as long: look at each of them."
        for each in unsteady
    ]
    return notes
