"""A drug that is taken up and eliminated at a limited rate: posteriordb's `one_comp_mm_elim_abs`."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from benchmarks.models.posteriordb import load_data

# Between two times, which are half a day apart: less than 2e-4 off in the logarithm wherever the rates were tried.
STEPS = 20


def build() -> pm.Model:
    """Build the model of `one_comp_mm_elim_abs.stan`: 4 parameters, 20 concentrations in ten days."""
    data = load_data("one_comp_mm_elim_abs")
    with pm.Model() as model:
        k_a, k_m, v_m, sigma = (pm.HalfCauchy(name, 1.0) for name in ("k_a", "K_m", "V_m", "sigma"))
        volume = float(data["V"])
        concentration = concentrations(k_a, float(data["D"]) / volume, (v_m / volume, k_m), data["times"])
        pm.LogNormal("C_hat", pt.log(concentration), sigma, observed=data["C_hat"])
    return model


def concentrations(k_a, dose: float, elimination: tuple, times: np.ndarray) -> pt.TensorVariable:
    """Integrate by the implicit midpoint rule, whose equation is quadratic here; `times` are evenly spaced.

    Steps stay stable and midpoints positive however stiff elimination near zero is.

    Parameters
    ----------
    k_a, dose
        What has been taken up by time t is `dose * (1 - exp(-k_a * t))`, as a concentration.
    elimination : (fastest, half)
        The largest rate, and the concentration at which the rate is half of it.
    """
    taken = dose * (1.0 - pt.exp(-k_a * np.linspace(0.0, times[-1], times.size * STEPS + 1)))
    h = float(times[-1]) / (times.size * STEPS)

    def step(more, now, fastest, half):
        s = now + more / 2
        b = half - s + h / 2 * fastest
        middle = (pt.sqrt(b**2 + 4.0 * s * half) - b) / 2
        return now + more - h * fastest * middle / (half + middle)

    after_steps = pytensor.scan(
        step,
        sequences=[pt.diff(taken)],
        outputs_info=[pt.zeros(())],
        non_sequences=list(elimination),
        return_updates=False,
    )
    return after_steps[STEPS - 1 :: STEPS]
