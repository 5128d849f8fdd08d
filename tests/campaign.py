"""Damages every kind of file at random, and manifests with aim.

    python tests/campaign.py 1000 200    # random damages of each kind of thing, aimed ones of the manifests

Exits with 1 if what came of one of them was neither the same bytes nor one sentence (`damage`).
"""

import itertools
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from damage import HELD, campaign
from damaged_files import cache_entries, layout_profiles, model_files
from damaged_folders import RunFolders, aimed_manifests
from layout.simulated import KINDS, Machine, seconds_per_unit

from nutmill.layout.profile import BlasKey, Profile
from nutmill.layout.sweeps import sweep


def a_profile() -> Profile:
    """A layout that was chosen on a machine that is computed."""
    machine = Machine(lambda layout: seconds_per_unit(KINDS["gp 1000"], 8, layout), noise=0.05)
    found = sweep(None, SimpleNamespace(n_cores=8), chains=4, measure=machine.measure, clock=machine.clock)
    return Profile("a1b2", "AMD EPYC, 8 cores", BlasKey("openblas", "0.3.30"), "f00d", {"n_dim": "10"}, found)


def aimed(folders: RunFolders, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Change one thing in the manifest of one folder after the other."""
    changed = {name: aimed_manifests(folders.manifest(name), rng) for name in folders.names}
    for name in itertools.cycle(folders.names):
        what, content = next(changed[name])
        yield f"{name} {what}", folders.aimed(name, content, rng)


def run(compiled, n_random: int, n_aimed: int, *, seed: int, folder: Path) -> Counter:
    """Run all campaigns; return how many trials had each outcome."""
    rng = np.random.default_rng(seed)
    folders = RunFolders(compiled, folder)
    made = a_profile()
    return (
        campaign(aimed(folders, rng), n_aimed, "aimed at manifests")
        + campaign((folders.random(rng) for _ in itertools.count()), n_random, "run folders")
        + campaign(model_files(compiled, folder, rng), n_random, "model files")
        + campaign(cache_entries(folder, rng), n_random, "cache entries")
        + campaign(layout_profiles(made, folder, rng), n_random, "layout profiles")
    )


def main() -> int:
    """Run as many as the command line says."""
    import zoo

    logging.getLogger("nutmill").setLevel(logging.ERROR)
    n_random, n_aimed, seed = (int(given) for given in [*sys.argv[1:], "1"][:3])
    with tempfile.TemporaryDirectory() as folder:
        found = run(zoo.compiled("regression"), n_random, n_aimed, seed=seed, folder=Path(folder))
    print(dict(found))
    return 0 if set(found) <= HELD else 1


if __name__ == "__main__":
    sys.exit(main())
