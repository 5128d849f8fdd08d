"""The suite: every benchmark model by name, imported only when it is built."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.models import stan
from benchmarks.models.posteriordb import FOLDER, Reference, load_references

if TYPE_CHECKING:
    import pymc as pm

# Our module name -> the name that posteriordb gives to the same posterior.
POSTERIORDB = {
    "eight_schools": "eight_schools-eight_schools_noncentered",
    "kidiq": "kidiq-kidscore_interaction",
    "earnings": "earnings-logearn_interaction",
    "sblrc": "sblrc-blr",
    "garch": "garch-garch11",
    "nes2000": "nes2000-nes",
    "ark": "arK-arK",
    "gauss_mix": "low_dim_gauss_mix-low_dim_gauss_mix",
    "mesquite": "mesquite-logmesquite_logvash",
    "kilpisjarvi": "kilpisjarvi_mod-kilpisjarvi",
}

# Models of further kinds and sizes on data that a fixed seed makes; nobody has reference draws of them.
SYNTHETIC = (
    "radon",  # a hierarchy: 390 parameters, 12 000 rows
    "regression",  # linear: 20 000 rows, 50 effects
    "gaussian_process",  # marginal: 100 points
    "latent_process",  # a Gaussian process under counts: 43 parameters
    "irt",  # 462 parameters, 12 000 answers
    "poll",  # logistic with crossed effects: 374 parameters, 12 000 rows
    "negative_binomial",  # a hierarchy of counts: 15 000 rows
    "varying_slopes",  # a multivariate hierarchy under an LKJ prior: 310 parameters
    "horseshoe",  # sparse effects: 404 parameters
    "stochastic_volatility",  # a random walk: 502 parameters
    "arma",  # a recursion over a series
    "survival",  # censored times
    "ordinal",  # ordered answers
    "zero_inflated",  # a mixture of counts
    "league",  # paired comparisons that sum to zero
)

# Of kinds that the suite lacks and people use: `python -m benchmarks --models further`. Stan has no program of
# `crossed`, whose parameters are called as Bambi calls them, `1|person_offset`.
FURTHER = (
    "hidden_states",  # a hidden Markov model: 300 steps of 3 states
    "local_level",  # a Kalman filter of 12 states, 144 steps
    "disease_map",  # BYM2 on 144 places: 292 parameters
    "surface",  # HSGP with two lengths: 149 parameters
    "choices",  # a multinomial logit: 3000 choices of 4 brands
    "marketing_mix",  # adstock and saturation of 6 channels: 25 parameters
    "capture_mixture",  # two kinds of animals, summed out: 4 parameters
    "drug",  # one compartment, absorbed: 67 parameters
    "crossed",  # Bambi's own model of two crossed factors: 116 parameters
    "state_polls",  # a random walk in each of 50 states: 1085 parameters
    "chess",  # ordered outcomes of skills that sum to zero: 44 parameters
    "outliers",  # Student-t errors with their tails: 13 parameters
)

MODELS = (*POSTERIORDB, *SYNTHETIC)

# Models of several data sets: name -> file and which.
FAMILIES = {
    "nes2000": ("nes", {"year": 2000}),
    "sblrc": ("blr", {"data_set": "sblrc"}),
}

# Further ones on which CPU layouts are measured: name -> file and sizes.
SIZED = {
    "gaussian_process_200": ("gaussian_process", {"points": 200}),
    "gaussian_process_300": ("gaussian_process", {"points": 300}),
    "gaussian_process_1000": ("gaussian_process", {"points": 1000}),
    "mvnormal_200": ("mvnormal", {}),
    "regression_wide": ("regression", {"rows": 2000, "columns": 500}),
    "lkj_20": ("lkj", {}),
}

# Further ones on which gradients alone are measured.
ALONE = {
    "group_slopes": ("group_slopes", {}),  # small matrices, a short axis
    "normal_by_factor": ("normal_by_factor", {}),
    "many_groups": ("many_groups", {}),
    "many_groups_10000": ("many_groups", {"groups": 10_000}),
    "regression_5000": ("regression", {"rows": 5000, "columns": 25}),
    "gaussian_process_500": ("gaussian_process", {"points": 500}),
}

# Recursions beside those of the suite: `python -m benchmarks.recursions`.
RECURSIONS = {
    kind: ("recursions", {"kind": kind}) for kind in ("autoregression", "forward", "season", "euler_maruyama")
}

# Further ones on which compiling is measured: name -> file and sizes.
COMPILED = {
    "generated": ("generated", {}),  # 2000 nodes of density and gradient, 760 of them of the density
    "generated_wide": ("generated", {"blocks": 13}),  # 6200, and 2300
    # 52 operations for each Potential
    **{f"potentials_{n}": ("capture_recapture", {"animals": n}) for n in (25, 50, 100, 200, 400)},
}

# Sampled before the suite, so that what is compiled once per installation is told from what a model costs.
PRIMING = "standard_normal"

NAMES = (*MODELS, *FURTHER, *SIZED, *ALONE, *RECURSIONS, *COMPILED, PRIMING)


def build(name: str, **sizes: int) -> "pm.Model":
    """Build the model called `name`.

    Parameters
    ----------
    name
        One of `NAMES`.
    sizes
        Of its data, where its file lets them be chosen; its own where nothing is said.

    Raises
    ------
    KeyError
        If there is no such model; the message lists those there are.
    """
    if name not in NAMES:
        raise KeyError(f"no benchmark model is called {name!r}; choose from {', '.join(NAMES)}")
    file, own = (FAMILIES | SIZED | ALONE | RECURSIONS | COMPILED).get(name, (_module(name), {}))
    return import_module(f"benchmarks.models.{file}").build(**(own | sizes))


def _module(name: str) -> str:
    return f"further.{name}" if name in FURTHER else name


def reference(name: str) -> dict[str, Reference] | None:
    """Return the reference moments of `name` by scalar (keys as `theta[1]`), None where there are none."""
    return load_references()[POSTERIORDB[name]] if name in POSTERIORDB else None


def stan_files(name: str, folder: Path) -> dict[str, str]:
    """Return the files `program` and `data` of the same model for Stan; data that a seed makes go to `folder`."""
    if name in POSTERIORDB:
        data = FOLDER / f"{POSTERIORDB[name].partition('-')[0]}.json"
    else:
        data = folder / f"{name}.json"
        stan.write(_module(name), data)
    return {"program": str(stan.program(name)), "data": str(data)}
