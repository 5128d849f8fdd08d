"""Log prices of diamonds on size and quality, predictors nearly dependent: posteriordb's `diamonds-diamonds`."""

import numpy as np
import pymc as pm

from benchmarks.models.posteriordb import load_data


def build() -> pm.Model:
    """Build the model of `diamonds.stan`, which brms wrote: 26 parameters, 5000 observations, a centred matrix."""
    data = load_data("diamonds")
    design = _design(data)
    with pm.Model() as model:
        b = pm.Normal("b", 0.0, 1.0, shape=design.shape[1])
        intercept = pm.StudentT("Intercept", nu=3.0, mu=8.0, sigma=10.0)
        sigma = pm.HalfStudentT("sigma", nu=3.0, sigma=10.0)
        mean = intercept + pm.math.dot(design - design.mean(axis=0), b)
        pm.Normal("log_price", mean, sigma, observed=np.log(data["price"]))
    return model


def _design(data: dict[str, np.ndarray]) -> np.ndarray:
    """Make Stan's matrix without its column of ones, (5000, 24)."""
    carat, lengths = data["carat"][:, None], np.log(np.column_stack([data[name] for name in "xyz"]))
    qualities = [_contrasts(data[name]) for name in ("cut", "color", "clarity")]
    return np.hstack([carat, lengths, *qualities, carat * lengths])


def _contrasts(levels: np.ndarray) -> np.ndarray:
    """Code a quality that counts from 1 by orthogonal polynomials, as R's `contr.poly` does."""
    basis, triangle = np.linalg.qr(np.vander(np.arange(1.0, levels.max() + 1.0), increasing=True))
    return (basis * np.sign(np.diag(triangle)))[levels - 1, 1:]
