"""What tests of run folders share: a model, and what is asked of it."""

import zoo

QUIET = {"progressbar": False, "compute_convergence_checks": False}
EXTRAS = {"include_transformed": True, "divergences": True}
OPTIONS = {"draws": 120, "chains": 8, "random_seed": 3, "discard_tuned_samples": False, "idata_kwargs": EXTRAS, **QUIET}


def compiled():
    return zoo.compiled("regression")
