"""Cases of a disease on a map: BYM2, effects of place that neighbours share and effects that they do not."""

import numpy as np
import pymc as pm

SIDE, SEED = 12, 20261203


def build() -> pm.Model:
    """Build the model: 144 places on a grid, 292 parameters."""
    cases, expected, poverty = (arrays()[name] for name in ("cases", "expected", "poverty"))
    with pm.Model(coords={"place": np.arange(SIDE**2)}) as model:
        level = pm.Normal("level", 0.0, 1.0)
        slope = pm.Normal("slope", 0.0, 1.0)
        sd = pm.HalfNormal("sd", 1.0)
        shared = pm.Beta("shared", 0.5, 0.5)
        own = pm.Normal("own", 0.0, 1.0, dims="place")
        near = pm.ICAR("near", W=_neighbours(), dims="place")
        effect = pm.math.sqrt(1.0 - shared) * own + pm.math.sqrt(shared / _scale()) * near
        pm.Poisson("cases", expected * pm.math.exp(level + slope * poverty + sd * effect), observed=cases)
    return model


def _neighbours() -> np.ndarray:
    """Which places share an edge, (144, 144) of 0 and 1."""
    row, column = np.divmod(np.arange(SIDE**2), SIDE)
    distance = np.abs(row[:, None] - row) + np.abs(column[:, None] - column)
    return (distance == 1).astype(int)


def _scale() -> float:
    """Geometric mean of the variances that neighbours alone leave: Riebler et al. (2016) divide by it."""
    near, everywhere = _neighbours(), 1.0 / SIDE**2
    # Constants have no inverse, and are set aside: `pinv` may take the rounding error of theirs for a direction.
    inverse = np.linalg.inv(np.diag(near.sum(1)) - near + everywhere) - everywhere
    return float(np.exp(np.log(np.diag(inverse)).mean()))


def arrays() -> dict[str, np.ndarray]:
    """Make the data by their names: for each place its cases, how many there would be, and its poverty."""
    rng = np.random.default_rng(SEED)
    row, column = np.divmod(np.arange(SIDE**2), SIDE)
    smooth = np.sin(row / 3.0) + np.cos(column / 4.0)
    expected, poverty = rng.gamma(5.0, 2.0, SIDE**2), rng.normal(size=SIDE**2)
    rate = np.exp(0.1 + 0.3 * poverty + 0.3 * smooth + 0.2 * rng.normal(size=SIDE**2))
    return {"cases": rng.poisson(expected * rate), "expected": expected, "poverty": poverty}
