"""Runs of a target that always diverges, with a folder, and their comparison with runs that were left alone."""

from pathlib import Path

import numpy as np
from targets import Target, native, starts

from nutmill.checkpoint.folder import RunFolder
from nutmill.run.checkpoints import SavedRun, Starts, settings_in
from nutmill.run.driver import drive
from nutmill.run.run import Run, Settings

SETTINGS = Settings(draws=150, keep_warmup=True, keep_divergences=True)
SEED = 5


# What a manifest says beside what the driver knows.
FACTS = {
    "model": {"parameters": {"x": [3]}, "reported": ["x"], "fused": True, "probes": [[0.0, 0.0]] * 3},
    "data": {},
    "versions": {"nutmill": "of a test"},
    "cpu": "of a test",
}


def facts_of(settings: Settings, n_chains: int, seed: int = SEED) -> dict:
    """Facts of a run, with what was asked as `settings` say it."""
    asked = {name: value for name, value in settings._asdict().items() if not name.startswith("keep_")}
    asked |= {"chains": n_chains, "chain_ids": list(range(n_chains)), "random_seed": str(seed), "until": None}
    asked |= {"starts": "jitter"}
    asked |= {"discard_tuned_samples": not settings.keep_warmup}
    return {**FACTS, "request": asked | {"idata_kwargs": {"divergences": settings.keep_divergences}}}


def model(target=Target.HALF_NORMAL, n_dim=3):
    return native(target, n_dim)


def run_alone(n_chains=4, settings=SETTINGS, **options) -> Run:
    return drive([model()], Starts(starts(Target.HALF_NORMAL, n_chains, 3), SEED), settings, threads=2, **options)


def run_kept(path: Path, n_chains=4, settings=SETTINGS, every_s=0.0, **options) -> Run:
    points = starts(Target.HALF_NORMAL, n_chains, 3)
    with RunFolder.create(path, facts_of(settings, n_chains), every_s) as folder:
        return drive([model()], Starts(points, SEED, folder=folder), settings, threads=2, **options)


def resume(path: Path, draws=None, every_s=0.0, natives=None, **options) -> Run:
    with RunFolder.open(path, every_s) as folder:
        settings = settings_in(folder.manifest)
        settings = settings if draws is None else settings._replace(draws=draws)
        return drive(natives or [model()], SavedRun(folder), settings, threads=2, **options)


def assert_same(run: Run, reference: Run) -> None:
    """Compare field by field: the padding of records is not theirs to keep."""
    assert run.chain_ids == reference.chain_ids
    for field in ("draws", "statistics", "warmup_draws", "warmup_statistics"):
        np.testing.assert_array_equal(np.stack(getattr(run, field)), np.stack(getattr(reference, field)))
    for found, expected in zip(run.divergences, reference.divergences, strict=True):
        np.testing.assert_array_equal(found.records, expected.records)
        np.testing.assert_array_equal(found.points, expected.points)
    for found, expected in zip((*run.adaptation, *run.warmup), (*reference.adaptation, *reference.warmup), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(run.n_gradients, reference.n_gradients)
    assert run.messages == reference.messages
