"""Rows of a comparison with round numbers."""

QUALITY = {
    "ess_bulk_min": 1200.0,
    "ess_bulk_median": 2000.0,
    "ess_tail_min": 900.0,
    "ess_tail_median": 1500.0,
    "rhat_max": 1.002,
}


def spent(wall, cpu=None):
    return {"wall": wall, "cpu": wall if cpu is None else cpu}


def measured(**changed):
    """Give a run of 1000 gradients that has begun to sample after six seconds, and sampled for ten on two cores."""
    return {
        "built_s": 1.0,
        "imported": spent(2.0),
        "compiled": spent(3.0),
        "sampled": spent(10.0, 20.0),
        "peak_rss_mb": 300.0,
        "warmup_gradients": 400,
        "draw_gradients": 600,
        "warmup_draws": 1000,
        "divergences": 1,
        "quality": QUALITY,
        "n_scalars": 2,
        "means": {"mu": [1.0, 0.03], "tau": [2.0, 0.03]},
        "blas": ["openblas 0.3 (2 threads)"],
        "size": {"draws": 1000, "chains": 4, "cores": 2, "seed": 1, "tune": None},
        "versions": {"nutmill": "0.1"},
    } | changed


def row(sampler, repeat=0, failure=None, **changed):
    outcome = {"measurement": measured(**changed)} if failure is None else {"failure": failure}
    return {"sampler": sampler, "repeat": repeat, "caches": "warm" if repeat else "cold", **outcome}
