"""Files of models, entries of the cache and layout profiles, damaged at random before they are used."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import nutmill
from campaigns.caches import cache_at
from campaigns.damage import KINDS, damage
from campaigns.stops import ASKED
from campaigns.trials import QUIET, digest_of, outcome
from nutmill import sample_numba
from nutmill.files import cache_folder
from nutmill.layout import profile as profiles
from nutmill.native import cache, cache_space
from nutmill.native.container import unpack_header


def model_files(compiled: nutmill.CompiledModel, folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Damage a saved model, load it and sample it."""
    sample = ASKED | {"draws": 20, "tune": 20, "chains": 1, **QUIET}
    expected = digest_of(sample_numba(compiled, **sample))
    place = folder / "models" / "one"
    while True:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        compiled.save(place / "model.nut")
        kind = rng.choice(KINDS)
        damage(place / "model.nut", kind, rng)
        found = outcome(lambda: digest_of(sample_numba(nutmill.load(place / "model.nut"), **sample)), expected)
        yield f"{kind} .nut", found


def cache_entries(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Damage an entry of the cache, and look for it: what is found is what was there, or nothing."""
    whole, place = cache_folder(), folder / "caches" / "one"
    while True:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        file = Path(shutil.copy(rng.choice(sorted(whole.glob("*.entry"))), place))
        header = unpack_header(file.read_bytes()[: 1 << 20])
        sought = header.kind, header.key, header.environment
        with cache_at(place):
            expected, kind = cache.load(*sought), rng.choice(KINDS)
        damage(file, kind, rng)

        def look(sought=sought, expected=expected):
            cache_space.listing()
            found = cache.load(*sought)
            return found in (None, expected) and cache.store(*sought, expected) in (True, False)

        with cache_at(place):
            found = outcome(look, True)
        yield f"{kind} .entry", found


def layout_profiles(made: profiles.Profile, folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Damage a layout profile, and look for it: the layout that was chosen comes back, or none, or a sentence."""
    place = folder / "profiles" / "one"
    sought = made.machine, made.blas, made.workload, made.size_class
    while True:
        shutil.rmtree(place, ignore_errors=True)
        with cache_at(place):
            file, kind = profiles.save(made), rng.choice(KINDS)
        content = file.read_bytes()
        damage(file, kind, rng)
        harmless = kind in ("flip", "zero", "append")  # a profile has no checksum: what fits its form is a layout

        def look(file=file, harmless=harmless, content=content):
            found = profiles.find(*sought)
            same = found is None or harmless or found.layout == made.layout
            return same and (profiles.load(file) is not None)

        with cache_at(place):
            found = outcome(look, True)
        yield f"{kind} profile", found
