"""Run folders of several kinds, of which one file is damaged, or the manifest changed, before they are used."""

import copy
import json
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import nutmill
from campaigns import stops
from campaigns.damage import KINDS, damage
from campaigns.trials import QUIET, digest_of, outcome
from nutmill import sample_numba
from nutmill.checkpoint.manifest import MANIFEST, read_manifest, sealed

ASKED = stops.ASKED | {"draws": 60, "chains": 6, "tune": 200}
GOAL = 90


class RunFolders:
    """Run folders of several kinds, what they must come to, and what is done with a damaged one."""

    def __init__(self, compiled: nutmill.CompiledModel, folder: Path):
        self._compiled, self._folder = compiled, folder
        state = nutmill.adaptation_of(sample_numba(compiled, **ASKED | {"random_seed": 2}, **QUIET))
        with ThreadPoolExecutor(1) as threads:
            for name, options in {
                "plain": {},
                "adapted": {"adaptation_state": state, "tune": 30},
                "parts": {"executor": threads, "adaptation_state": state},
                "warming": {"tune": 3000, "max_time": 0.02},
            }.items():
                sample_numba(compiled, **ASKED | options, **QUIET, checkpoint=folder / name)
        self.names = ["plain", "adapted", "parts", "warming"]
        self._expected = {name: digest_of(self._go_on(self._copy(name), compiled)) for name in self.names}

    def _copy(self, name: str) -> Path:
        """Copy a folder, to a place that is its own."""
        place = Path(tempfile.mkdtemp(dir=self._folder, prefix="trial-"))
        return shutil.copytree(self._folder / name, place / "run")

    def _go_on(self, path: Path, compiled):
        return nutmill.resume(path, compiled, draws=GOAL, every=0.02, cores=2, **QUIET)

    def _use(self, path: Path, expected: str, model) -> str:
        for look in (nutmill.status, nutmill.adaptation_of):
            try:
                look(path)
            except nutmill.NutmillError:
                continue  # what cannot be looked at may yet go on
        return digest_of(self._go_on(path, model))

    def random(self, rng: np.random.Generator) -> tuple[str, str]:
        """Harm one file of one folder."""
        name, kind = rng.choice(self.names), rng.choice(KINDS)
        path = self._copy(name)
        files = sorted(file for file in path.rglob("*") if file.is_file())
        # As many trials for the few small files as for the many of draws.
        suffixes = sorted({file.suffix or file.name for file in files})
        suffix = rng.choice(suffixes)
        file = rng.choice([file for file in files if (file.suffix or file.name) == suffix])
        damage(file, kind, rng)
        return f"{kind} {suffix}", self._judge(path, name, rng)

    def aimed(self, name: str, content: bytes, rng: np.random.Generator) -> str:
        """Put another manifest in the place of that of a folder."""
        path = self._copy(name)
        (path / MANIFEST).write_bytes(content)
        return self._judge(path, name, rng)

    def manifest(self, name: str) -> dict:
        return read_manifest(self._folder / name)

    def _judge(self, path: Path, name: str, rng: np.random.Generator) -> str:
        model = self._compiled if rng.random() < 0.5 else None
        found = outcome(lambda: self._use(path, self._expected[name], model), self._expected[name])
        shutil.rmtree(path.parent)
        return found


def leaves(value, place: tuple = ()) -> Iterator[tuple]:
    """Places of everything in JSON."""
    if place:
        yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from leaves(item, (*place, key))


def aimed_manifests(manifest: dict, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Manifests of which one thing is missing, of another type or another value; sealed anew, or not."""
    odd = [None, True, -1, 0, 1, 3, 10**9, 10**30, 0.5, float("nan"), "", "x", "7", [], [1], {}, {"x": 1}]
    while True:
        places = list(leaves(manifest))
        place = places[rng.integers(len(places))]
        changed = copy.deepcopy(manifest)
        holder = changed
        for key in place[:-1]:
            holder = holder[key]
        if rng.random() < 0.25:
            del holder[place[-1]]
        else:
            holder[place[-1]] = copy.deepcopy(odd[rng.integers(len(odd))])
        is_sealed = rng.random() < 0.7
        yield (
            ("sealed " if is_sealed else "edited ") + str(place[0]),
            sealed(changed) if is_sealed else _edited(changed),
        )


def _edited(manifest: dict) -> bytes:
    return json.dumps({**manifest, "digest": "0" * 64}).encode()
