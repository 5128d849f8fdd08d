"""The first call of a process on a model whose code is known: it imports nothing that this does not need."""

from processes import output_of, start

# Each takes a tenth of a second to some seconds. What PyMC has imported before the call is not ours to save.
HEAVY = ("arviz", "dask", "jinja2", "matplotlib", "numba", "pandas", "psutil", "pytensor.link", "rich")
HEAVY += (
    "nutmill.model.build",
    "nutmill.model.lowering.inline",
    "nutmill.model.rewriting.rewrite",
    "nutmill.comparison",
)

MODEL = """
import numpy as np
import pymc as pm

with pm.Model() as made:
    x = pm.Data("x", np.linspace(-1.0, 1.0, 8))
    slope, noise = pm.Normal("slope"), pm.HalfNormal("noise")
    pm.Normal("y", slope * x, noise, observed=0.5 * x.get_value())
"""
CALL = """
import sys

import nutmill

def blas():
    return {line.split()[-1] for line in open("/proc/self/maps") if "blas" in line}


before, loaded = set(sys.modules), blas()
result = nutmill.sample_numba(made, draws=20, tune=20, chains=4, random_seed=1, progressbar=False)
print(*set(sys.modules) - before, *blas() - loaded)
assert result["posterior"].sizes["draw"] == 20
"""


def test_a_known_model_is_sampled_and_reported_on_without_compilers_plots_and_tables(model_cache):
    calls = [output_of(start(MODEL + CALL)).split() for _ in range(2)]
    assert "nutmill.model.build" in calls[0] and "nutmill.diagnosis.check" in calls[1]
    assert [name for name in calls[1] if name.startswith("/")] == []  # OpenBLAS starts threads when it is loaded
    assert [name for name in calls[1] if f"{name}.".startswith(tuple(f"{heavy}." for heavy in HEAVY))] == []


def test_options_of_numba_are_known_without_it():
    """Else a process without Numba would not find what a process with it has kept."""
    code = """
import sys
from nutmill.model.lowering.environment import numba_options
assert numba_options() == {} and "numba" not in sys.modules
from numba.core import config
print(numba_options())
config.OPT = 1
print(numba_options())
"""
    assert output_of(start(code)).splitlines() == ["{}", "{'OPT': 1}"]
    code = "from nutmill.model.lowering.environment import numba_options; print(numba_options())"
    assert output_of(start(code, NUMBA_SLP_VECTORIZE="1")) == "{'SLP_VECTORIZE': 1}\n"
