"""The main job of `make demo`: eight schools from data to draws, where the time went, and a picture."""

import json
from pathlib import Path

import arviz as az
import matplotlib
import numpy as np
import pymc as pm
from scipy.stats import gaussian_kde

from nutmill import sample_numba

matplotlib.use("Agg")  # a machine without a screen must do
import matplotlib.pyplot as plt

_ROOT = Path(__file__).resolve().parents[1]
_DATA = _ROOT / "tests" / "data" / "posteriordb" / "eight_schools.json"
_PICTURE = _ROOT / "demo-output" / "posterior.png"

_BLUE, _ORANGE, _GREY = "#2a6f97", "#d1603d", "#8a8f98"


def load_schools() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read names, estimated effects and standard errors of eight coaching programmes (Rubin 1981)."""
    data = json.loads(_DATA.read_text())
    return list("ABCDEFGH"), np.array(data["y"], float), np.array(data["sigma"], float)


def eight_schools(schools: list[str], effect: np.ndarray, error: np.ndarray) -> pm.Model:
    """Build the hierarchical model, in its non-centred form."""
    with pm.Model(coords={"school": schools}) as model:
        mu = pm.Normal("mu", 0, 5)
        tau = pm.HalfCauchy("tau", 5)
        z = pm.Normal("z", dims="school")
        theta = pm.Deterministic("theta", mu + tau * z, dims="school")
        pm.Normal("effect", theta, error, observed=effect, dims="school")
    return model


def time_table(result) -> str:
    """Say where the time went, from what the run wrote into the attributes of its result."""
    compiled = json.loads(result.attrs["compile_cpu_seconds"])
    sampled = json.loads(result.attrs["sampling_seconds"])
    n_steps = result["sample_stats"]["n_steps"]
    n_warmup = result["posterior"].attrs["tuning_steps"]
    rows = [(f"compile: {name}", f"{seconds:9.3f} CPU s") for name, seconds in compiled.items()]
    rows += [
        (f"warmup, {n_warmup} draws a chain", f"{sampled['warmup_cpu']:9.3f} CPU s"),
        (f"sampling, {n_steps.sizes['draw']} draws a chain", f"{sampled['sampling_cpu']:9.3f} CPU s"),
        ("gradients per draw", f"{float(n_steps.mean()):9.1f}"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)


def draw_picture(result, effect: np.ndarray, error: np.ndarray, path: Path) -> None:
    """Write the posterior of each school beside its own estimate, and that of the spread between schools."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 5.2), width_ratios=(2.2, 1), layout="constrained", dpi=150)
    posterior = result["posterior"]
    _draw_schools(left, posterior, effect, error)
    _draw_spread(right, posterior["tau"].values.ravel())
    for axes in (left, right):
        axes.spines[["top", "right", "left"]].set_visible(False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


def _draw_schools(axes, posterior, effect: np.ndarray, error: np.ndarray) -> None:
    schools = posterior["school"].values
    mean = float(posterior["mu"].mean())
    grid = np.linspace(-20, 45, 400)
    axes.axvline(mean, color=_GREY, linewidth=1, linestyle=":")
    order = np.argsort(effect)
    for row, index in enumerate(order):
        theta = posterior["theta"].sel(school=schools[index]).values.ravel()
        density = gaussian_kde(theta)(grid)
        top = row + 0.72 * density / density.max()
        axes.fill_between(grid, row, top, color=_BLUE, alpha=0.35, linewidth=0)
        axes.plot(grid, top, color=_BLUE, linewidth=1.2)
        axes.plot([np.median(theta)], [row], "o", color=_BLUE, markersize=5, zorder=3)
        axes.errorbar(effect[index], row - 0.17, xerr=error[index], fmt="D", color=_ORANGE, markersize=4, linewidth=1.2)
    axes.plot([], [], "o-", color=_BLUE, label="posterior and its median")
    axes.errorbar([], [], xerr=[], fmt="D", color=_ORANGE, markersize=4, label="the school's own estimate")
    axes.set_yticks(range(len(order)), [f"school {schools[i]}" for i in order])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(-20, 45)
    axes.set_ylim(-0.5, 8.9)
    axes.set_xlabel("effect of coaching (points)")
    axes.set_title("Each school borrows from the others", loc="left", fontsize=11)
    axes.legend(loc="upper right", frameon=False, fontsize=8.5)


def _draw_spread(axes, tau: np.ndarray) -> None:
    axes.hist(tau, bins=np.linspace(0, 20, 41), density=True, color=_BLUE, alpha=0.45)
    axes.axvline(np.median(tau), color=_BLUE, linewidth=1.5)
    axes.set_xlim(0, 20)
    axes.set_yticks([])
    axes.set_xlabel("tau: spread between schools (points)")
    axes.set_title(f"Median of tau: {np.median(tau):.1f}", loc="left", fontsize=11)


def main() -> None:
    """Sample, and show what came out."""
    schools, effect, error = load_schools()
    result = sample_numba(eight_schools(schools, effect, error), target_accept=0.9, random_seed=1)
    draw_picture(result, effect, error, _PICTURE)
    print("\nSummary")
    print(az.summary(result, var_names=["mu", "tau", "theta"]).to_string())
    print("\nWhere the time went")
    print(time_table(result))
    print(f"\nPicture: {_PICTURE}")


if __name__ == "__main__":
    main()
