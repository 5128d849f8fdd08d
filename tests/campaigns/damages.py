"""Damages every kind of file at random, and manifests with aim, and uses them."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import zoo
from layout.simulated import KINDS, Machine, seconds_per_unit

import nutmill
from campaigns import damaged_files
from campaigns.damaged_folders import RunFolders, aimed_manifests
from nutmill.layout.profile import BlasKey, Profile
from nutmill.layout.search.sweep import sweep


def a_profile() -> Profile:
    """A layout that was chosen on a machine that is computed."""
    machine = Machine(lambda layout: seconds_per_unit(KINDS["gp 1000"], 8, layout), noise=0.05)
    found = sweep(None, SimpleNamespace(n_cores=8), chains=4, measure=machine.measure, clock=machine.clock)
    return Profile("a1b2", "AMD EPYC, 8 cores", BlasKey("openblas", "0.3.30"), "f00d", {"n_dim": "10"}, found)


def manifests(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Change one thing in the manifest of one folder after the other."""
    folders = RunFolders(zoo.compiled("regression"), folder)
    changed = {name: aimed_manifests(folders.manifest(name), rng) for name in folders.names}
    for name in itertools.cycle(folders.names):
        what, content = next(changed[name])
        yield f"{name} {what}", folders.aimed(name, content, rng)


def run_folders(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Damage one file of a run folder."""
    folders = RunFolders(zoo.compiled("regression"), folder)
    while True:
        yield folders.random(rng)


def model_files(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Damage a saved model."""
    return damaged_files.model_files(zoo.compiled("regression"), folder, rng)


def cache_entries(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Damage an entry of the cache."""
    nutmill.compile_model(zoo.regression())  # so that there are some
    return damaged_files.cache_entries(folder, rng)


def layout_profiles(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Damage a layout profile."""
    return damaged_files.layout_profiles(a_profile(), folder, rng)
