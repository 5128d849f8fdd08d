"""The example of `docs/guide/many.md`: a line for each county of Minnesota, and whether the model is calibrated.

`python docs/many_counties.py` prints a summary and writes `docs/many.png`.
"""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

import nutmill
from nutmill.many.rank_bands import bands

matplotlib.use("Agg")  # a machine without a screen must do
import matplotlib.pyplot as plt

_DOCS = Path(__file__).resolve().parent
_BLUE, _ORANGE, _GREY = "#2a6f97", "#d1603d", "#8a8f98"


def houses() -> pd.DataFrame:
    """Read radon in 919 houses of 85 counties (Gelman and Hill 2007): county, floor, logarithm of the activity."""
    return pd.read_csv(_DOCS / "gallery" / "data" / "radon.csv")[["county", "is_first_floor", "log_radon"]]


def county_line() -> pm.Model:
    """Build the model of one county, of any number of houses."""
    with pm.Model() as model:
        first_floor = pm.Data("is_first_floor", np.array([0.0, 1.0]))
        level, floor = pm.Normal("level", 1.3, 1), pm.Normal("floor", -0.6, 0.5)
        spread = pm.LogNormal("spread", -0.3, 0.4)
        measured = pm.Data("log_radon", np.zeros(2))
        pm.Normal("y", level + floor * first_floor, spread, observed=measured, shape=first_floor.shape)
    return model


def draw_picture(table: pd.DataFrame, fits: xr.DataTree, found: xr.DataTree, path: Path) -> None:
    """Write the level of each county by its number of houses, and how far ranks are from uniform."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2), width_ratios=(1.5, 1), layout="constrained", dpi=150)
    level = fits["summary"]["level"]
    count = table.groupby("county").size().loc[level["dataset"].values].to_numpy()
    middle, low, high = (level.sel(statistic=name).values for name in ("median", "q5", "q95"))
    x = count * np.exp(0.08 * np.random.default_rng(1).normal(size=len(count)))  # those of equal number side by side
    left.vlines(x, low, high, color=_GREY, lw=0.8)
    left.plot(x, middle, "o", color=_BLUE, ms=4)
    left.set(
        xscale="log",
        xlabel="houses of the county",
        ylabel="log radon in basements",
        title=f"{len(count)} fits, 90 % intervals",
    )
    n_ranks, n_fits = found.attrs["n_ranks"], found["prior_sbc"].sizes["draw"]
    bound, at = bands(n_fits, n_ranks, 0.95), np.arange(1, n_ranks + 1) / (n_ranks + 1)
    right.fill_between(at, bound.low / n_fits - at, bound.high / n_fits - at, color=_GREY, alpha=0.3, lw=0)
    for name, color in (("level", _BLUE), ("spread", _ORANGE), ("log_density", "black")):
        places = found["prior_sbc"][name].values[0]
        right.plot(at, (places[:, None] < at).mean(axis=0) - at, color=color, lw=1.2, label=name.replace("_", " "))
    right.set(xlabel="place of the truth among draws", ylabel="ECDF - uniform", title=f"{n_fits} simulated data sets")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def main() -> None:
    """Fit each county, calibrate the model, print and draw both."""
    table, model = houses(), county_line()
    fits = nutmill.sample_many(model, table, by="county", draws=500, random_seed=1)
    print(fits["summary"]["level"].sel(statistic=["mean", "sd", "q5", "q95"]).to_pandas().head().round(2))
    problems = fits["fits"]["problem"].values
    print(f"{(problems != '').sum()} of {len(problems)} fits have a problem.")
    found = nutmill.sbc(model, n=1000, random_seed=1)
    print(f"Ranks stray as far with a probability of {found['p_value'].attrs['least']:.2g}.")
    draw_picture(table, fits, found, _DOCS / "many.png")
    print(f"Picture: {_DOCS / 'many.png'}")


if __name__ == "__main__":
    main()
