"""The examples of `docs/guide/cross-validation.md`: which model of radon predicts best, and how many houses tell.

`python docs/cross_validation.py` prints both and writes `docs/cross-validation.png`.
"""

from pathlib import Path

import arviz as az
import matplotlib
import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

import nutmill
from nutmill.many.fitting import Fit

matplotlib.use("Agg")  # a machine without a screen must do
import matplotlib.pyplot as plt

_DOCS = Path(__file__).resolve().parent
_BLUE, _ORANGE, _GREY = "#2a6f97", "#d1603d", "#8a8f98"


def houses() -> pd.DataFrame:
    """Read radon in 919 houses of 85 counties (Gelman and Hill 2007)."""
    return pd.read_csv(_DOCS / "gallery" / "data" / "radon.csv")


def pooled(table: pd.DataFrame) -> pm.Model:
    """One level for all counties."""
    with pm.Model() as model:
        level, floor = pm.Normal("level", 1.3, 1), pm.Normal("floor", -0.6, 0.5)
        spread = pm.HalfNormal("spread", 1)
        pm.Normal("log_radon", level + floor * table["is_first_floor"].to_numpy(), spread, observed=table["log_radon"])
    return model


def apart(table: pd.DataFrame) -> pm.Model:
    """A level for each county by itself."""
    number, names = pd.factorize(table["county"])
    with pm.Model(coords={"county": names}) as model:
        level, floor = pm.Normal("level", 1.3, 1, dims="county"), pm.Normal("floor", -0.6, 0.5)
        mean = level[number] + floor * table["is_first_floor"].to_numpy()
        pm.Normal("log_radon", mean, pm.HalfNormal("spread", 1), observed=table["log_radon"])
    return model


def hierarchy(table: pd.DataFrame) -> pm.Model:
    """Levels of counties that vary around a common one."""
    number, names = pd.factorize(table["county"])
    with pm.Model(coords={"county": names}) as model:
        common, between = pm.Normal("common", 1.3, 1), pm.HalfNormal("between", 0.5)
        level, floor = pm.Normal("level", common, between, dims="county"), pm.Normal("floor", -0.6, 0.5)
        mean = level[number] + floor * table["is_first_floor"].to_numpy()
        pm.Normal("log_radon", mean, pm.HalfNormal("spread", 1), observed=table["log_radon"])
    return model


def floors() -> pm.Model:
    """Houses of one county, half of them measured on the first floor."""
    with pm.Model() as model:
        first_floor = pm.Data("is_first_floor", np.zeros(4))
        level, floor = pm.Normal("level", 1.3, 1), pm.Normal("floor", -0.6, 0.5)
        spread = pm.LogNormal("spread", -0.3, 0.4)
        measured = pm.Data("log_radon", np.zeros(4))
        pm.Normal("y", level + floor * first_floor, spread, observed=measured, shape=first_floor.shape)
    return model


def is_lower(fit: Fit, truth: dict) -> dict[str, bool]:
    """Decide whether 95 % of the posterior say that there is less radon on the first floor."""
    return {"is_lower": (fit.draws["floor"] < 0).mean() > 0.95}


def designs(sizes: tuple[int, ...]) -> dict[int, dict[str, np.ndarray]]:
    """Give data of designs with so many houses each, every other one measured on the first floor."""
    return {n: {"is_first_floor": np.arange(n) % 2.0, "log_radon": np.zeros(n)} for n in sizes}


def draw_picture(table: pd.DataFrame, found: dict, counted: xr.Dataset, path: Path) -> None:
    """Write by how much each model predicts worse than the best, and how often a lower level is found."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained", dpi=150)
    for kind, (row, color) in {"single houses": (0.12, _BLUE), "whole counties": (-0.12, _ORANGE)}.items():
        values = {name: pointwise(result) for name, result in found[kind].items()}
        best = max(values, key=lambda name: values[name].sum())
        for place, each in enumerate(values.values()):
            difference = each - values[best]
            error = np.sqrt(len(each) * difference.var())
            label = kind if place == 0 else None
            left.errorbar(difference.sum(), place + row, xerr=error, fmt="o", color=color, ms=4, label=label)
    left.axvline(0, color=_GREY, lw=0.8)
    left.set(yticks=range(len(values)), yticklabels=list(values), xlabel="log predictive density, less the best one's")
    left.legend(frameon=False, title="left out")
    share = counted["is_lower"]
    mean, error = share.sel(statistic="mean"), share.sel(statistic="mcse")
    right.errorbar(share["design"], mean, 2 * error, fmt="o-", color=_BLUE, ms=4)
    right.set(xscale="log", ylim=(0, 1), xlabel="houses", ylabel="studies that find a lower first floor")
    right.set_xticks(share["design"].values, [str(n) for n in share["design"].values], minor=False)
    right.minorticks_off()
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def pointwise(result: object) -> np.ndarray:
    """Read the log predictive density of each observation, of either line of ArviZ."""
    return np.asarray(getattr(result, "elpd_i", None) if hasattr(result, "elpd_i") else result["loo_i"]).ravel()


def main() -> None:
    """Compare the models, count decisions, print and draw both."""
    table = houses()
    models = {"one level": pooled(table), "each by itself": apart(table), "hierarchy": hierarchy(table)}
    county = table["county"].to_numpy()
    found = {}
    for kind, folds in {"single houses": 10, "whole counties": county}.items():
        found[kind] = {name: nutmill.refit(model, folds, draws=500, random_seed=1) for name, model in models.items()}
        print(kind, az.compare(found[kind]), sep="\n")
    result = nutmill.power(floors(), is_lower, 1000, designs=designs((4, 8, 16, 32, 64, 128)), random_seed=1)
    print(result["power"]["is_lower"].to_pandas().round(3))
    draw_picture(table, found, result["power"].to_dataset(), _DOCS / "cross-validation.png")
    print(f"Picture: {_DOCS / 'cross-validation.png'}")


if __name__ == "__main__":
    main()
