"""A model of which every part needs BLAS, and whose draws depend on how many threads that has."""

import functools

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from nutmill import CompiledModel, compile_model


def model() -> pm.Model:
    """Factors of so large matrices that all BLAS threads make them: of data alone, in the density, in what is reported.

    Their last bits depend on how many threads there are.
    """
    rng = np.random.default_rng(1)
    with pm.Model() as model:
        x = pm.Data("x", rng.normal(size=(300, 200)))
        scale, noise = pm.HalfNormal("scale"), pm.HalfNormal("noise")
        gram = x.T @ x / 300
        unit = pt.eye(x.shape[1])
        pm.Potential("of_data", 1e-3 * pt.tanh(scale * pt.linalg.cholesky(gram + unit)).sum())
        cov = scale * gram + (noise + 0.1) * unit
        pm.MvNormal("y", pt.zeros(x.shape[1]), cov=cov, observed=rng.normal(size=200), shape=x.shape[1:])
        pm.Deterministic("root", pt.linalg.cholesky(scale * gram + unit)[-1])
    return model


@functools.cache
def compiled() -> CompiledModel:
    """Compile it, once a session."""
    return compile_model(model())
