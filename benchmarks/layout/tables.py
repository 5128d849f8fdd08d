"""Renders layouts as Markdown: the chosen one beside the best, the fixed rules and the peers' defaults."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.tables import head, line

# How much slower than the best the chosen layout may be; seconds that things may take.
WITHIN, SWEEP_S, APPLY_S, BIND_S, COMMAND_S = 1.05, 30.0, 1e-3, 0.05, 0.3


def choices_section(rows: Sequence[dict], chains: int) -> str:
    """Render for every model the chosen layout, and wall times of others as multiples of the best."""
    note = (
        "Wall time of one gradient of every chain, as a multiple of the best layout of an exhaustive sweep in which "
        "all layouts were measured equally often, in the same process. `c x b`: chains at once and BLAS threads of "
        "each, and the BLAS library where it is not SciPy's. PyMC by default runs as many chains at once as half the "
        "cores, nutpie as many as cores, and neither limits the BLAS threads of a chain: the same gradient is timed "
        "under these layouts."
    )
    lines = ["## Layouts", "", note, ""]
    lines += head(
        ["model", "best", "chosen", "times the best", "1 thread a chain", "1 chain", "PyMC", "nutpie", "goal"]
    )
    for row in rows:
        if row["model"] is not None and "measurement" in row:
            lines.append(line(_choice(row["model"], row["measurement"], chains)))
    return "\n".join(lines)


def jobs_sections(rows: Sequence[dict]) -> list[str]:
    """Render wall times of whole jobs, where there are any: by the layout that "auto" takes, and by SciPy's BLAS."""
    jobs = [(row["job"], row["measurement"]) for row in rows if row.get("job") and "measurement" in row]
    if not jobs:
        return []
    note = (
        "Wall seconds of `sample_numba`, warmup and results included, of a compiled model, in turn: medians. The first "
        'run of `layout="auto"` measures layouts before it samples; later ones find what it stored.'
    )
    names = ["model", "chosen", "one thread a chain of SciPy's BLAS", '`layout="auto"`', "times as fast", "first run"]
    lines = ["## Whole jobs", "", note, "", *head(names)]
    for model, job in jobs:
        times = [f"{job['scipy_s']:.1f}", f"{job['auto_s']:.1f}", f"{job['scipy_s'] / job['auto_s']:.2f}"]
        lines.append(line([model, _name(job["chosen"]), *times, f"{job['first_s']:.1f}"]))
    return ["\n".join(lines)]


def costs_section(rows: Sequence[dict]) -> str:
    """Render what it costs to choose and to apply a layout."""
    measured = [row["measurement"] for row in rows if row["model"] is not None and "measurement" in row]
    bound = [row["measurement"]["bind_s"] for row in rows if row.get("job") and "measurement" in row]
    costs = next((row["measurement"] for row in rows if "apply_s" in row.get("measurement", {})), {})
    longest = max((each["sweep_s"] for each in measured), default=float("nan"))
    quantities = [
        ("longest sweep, s", longest, SWEEP_S),
        ("applying a layout, ms", 1e3 * costs.get("apply_s", float("nan")), 1e3 * APPLY_S),
        *[("binding a loaded model to another library, ms", 1e3 * each, 1e3 * BIND_S) for each in bound],
        ("`nutmill topology --no-blas`, s", costs.get("topology_command_s", float("nan")), COMMAND_S),
    ]
    lines = ["## Costs", "", *head(["quantity", "measured", "goal", "verdict"])]
    for name, value, goal in quantities:
        lines.append(line([name, f"{value:.3g}", f"< {goal:g}", "met" if value < goal else "**missed**"]))
    return "\n".join(lines)


def _choice(model: str, measured: Mapping, chains: int) -> list[str]:
    walls = {_name(row["layout"]): row["wall_s"] for row in measured["every"]}
    fitting = {_name(row["layout"]): row["wall_s"] for row in measured["every"] if not row["is_oversubscribed"]}
    best = min(fitting, key=fitting.get)
    n = measured["n_cores"]
    chosen = _name(measured["chosen"])
    rules = [f"{min(chains, n)} x 1", f"1 x {n}"]
    peers = [f"{max(1, min(chains, n // 2))} x {n}", f"{min(chains, n)} x {n}"]
    share = walls[chosen] / fitting[best]
    met = share <= WITHIN and walls[chosen] <= WITHIN * min(walls[rule] for rule in rules)
    others = [f"{walls[name] / fitting[best]:.2f}" if name in walls else "not measured" for name in (*rules, *peers)]
    return [model, best, chosen, f"{share:.2f}", *others, "met" if met else "**missed**"]


def _name(layout: Mapping) -> str:
    library = layout.get("blas")
    return f"{layout['chains_at_once']} x {layout['blas_threads']}" + (f" {Path(library).name}" if library else "")
