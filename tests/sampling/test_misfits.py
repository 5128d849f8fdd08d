"""What the model reports and cannot be computed is named."""

import numpy as np
import pymc as pm
import pytest

from nutmill import ModelError, sample_numba


def test_a_deterministic_whose_shapes_do_not_fit_is_named():
    with pm.Model() as model:
        a = pm.Normal("a", shape=3)
        pm.Deterministic("scaled", a * pm.Data("x", np.arange(4.0)))
    with pytest.raises(
        ModelError,
        match=r"scaled cannot be computed, an operation of the model failed at this point",
    ):
        sample_numba(model, chains=1, draws=5, progressbar=False)
