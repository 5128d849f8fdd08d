"""Rows of the benchmark of the suite with round numbers."""

from benchmarks.caches import WARM


def row(sampler, ess, *, model="easy", seed=1, caches=WARM, cpu=1.0):
    """Return a row of a run with 1000 gradients, `ess` effective draws and `3 * cpu` CPU seconds."""
    spent = {"wall": cpu, "cpu": cpu}
    best = {"ess_bulk_min": ess, "ess_bulk_median": ess, "ess_tail_min": ess, "ess_tail_median": ess}
    measurement = {
        "imported": spent,
        "compiled": spent,
        "sampled": spent,
        "peak_rss_mb": 100.0,
        "warmup_gradients": 400,
        "draw_gradients": 600,
        "divergences": 0,
        "quality": best | {"rhat_max": 1.0},
        "n_scalars": 1,
        "distances": {},
        "built_s": 1.0,
    }
    cell = {"model": model, "sampler": sampler, "seed": seed, "caches": caches}
    return cell | {"measurement": measurement}


def failed(sampler, model, sentence):
    """Return the row of a cell that has no result."""
    return {"model": model, "sampler": sampler, "seed": 1, "caches": WARM, "failure": sentence}
