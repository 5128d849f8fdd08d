"""Leaf weight of mesquite bushes on sizes, which are correlated: the six regressions of posteriordb's `mesquite`."""

import numpy as np
import pymc as pm

from benchmarks.models.linear import regression
from benchmarks.models.posteriordb import load_data

SIZES = ("diam1", "diam2", "canopy_height", "total_height", "density")


def build(form: str = "logmesquite_logvash") -> pm.Model:
    """Build the model of the Stan program called `form`: up to 8 parameters, 46 observations."""
    data = load_data("mesquite")
    if form == "mesquite":
        return regression("weight", data["weight"], [*(data[name] for name in SIZES), data["group"]])
    logs = {name: np.log(data[name]) for name in SIZES}
    logs["area"] = np.log(data["diam1"] * data["diam2"])
    logs["shape"] = np.log(data["diam1"] / data["diam2"])
    logs["volume"] = np.log(data["diam1"] * data["diam2"] * data["canopy_height"])
    names = {
        "logmesquite": SIZES,
        "logmesquite_logva": ("volume", "area"),
        "logmesquite_logvas": ("volume", "area", "shape", "total_height", "density"),
        "logmesquite_logvash": ("volume", "area", "shape", "total_height"),
        "logmesquite_logvolume": ("volume",),
    }[form]
    groups = [] if form == "logmesquite_logvolume" else [data["group"]]
    return regression("log_weight", np.log(data["weight"]), [*(logs[name] for name in names), *groups])
