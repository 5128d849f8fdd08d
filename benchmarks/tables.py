"""Renders what was measured as Markdown: one table a figure, one on correctness, and a short one."""

import math
from collections.abc import Mapping, Sequence

from benchmarks.comparison import Ratio, select
from benchmarks.figures import (
    FIGURES,
    FIRST,
    OURS,
    Figure,
    Outcome,
    clean_models,
    evaluate,
    first_to_400_ess,
    misses,
    values,
)
from benchmarks.losses import HEADS, NOTE, cells_of, losses
from nutmill.comparison.quality import MIN_ESS, is_clean
from nutmill.diagnosis.parameters import MAX_RHAT

CLEAN = (
    f"Clean: R-hat at most {MAX_RHAT}, bulk and tail ESS of every scalar at least {MIN_ESS:g}, no divergence, of runs "
    "on a model that is new to the sampler."
)


_DIAGNOSTICS = ("R-hat", "least bulk ESS", "least tail ESS", "divergences", "clean")


def figure_section(figure: Figure, rows: Sequence[dict], samplers: Sequence[str]) -> str:
    """Render `figure` as a section: values per model, the ratios to every peer, and whether the goals are met."""
    peers = [name for name in samplers if name != OURS]
    outcomes = {peer: evaluate(figure, rows, peer) for peer in peers}
    lines = [f"## {figure.title}", "", _goal(figure), ""]
    lines += head(["model", *samplers, *(f"{OURS} vs {peer}" for peer in peers)])
    for model in _measured(figure, rows):
        cells = [_value(figure, rows, model, sampler) for sampler in samplers]
        lines.append(line([model, *cells, *(_verdict(figure, peer, outcomes[peer], model) for peer in peers)]))
    means = [f"**{show(outcome.overall)}**" for outcome in outcomes.values()]
    lines.append(line(["**geometric mean**", *[""] * len(samplers), *means]))
    short = misses(figure, rows, samplers)
    if short:
        lines += ["", "Missed: " + "; ".join(short) + "."]
    elif any(figure.wants(peer) for peer in peers):
        lines += ["", "Met."]
    return "\n".join(lines)


def ranks_section(rows: Sequence[dict], models: Sequence[str], samplers: Sequence[str]) -> str:
    """Render on how many models each sampler was the first to have 400 effective draws of every parameter."""
    winners = first_to_400_ess(rows, models, samplers)
    lines = ["## First to 400 ESS", "", *head(["sampler", "models"])]
    lines += [line([sampler, str(list(winners.values()).count(sampler))]) for sampler in samplers]
    return "\n".join([*lines, "", first_of(winners)])


def clean_section(rows: Sequence[dict], samplers: Sequence[str]) -> str:
    """Render on how many models the draws of each sampler are clean, and on which they are not."""
    lines = ["## Clean runs", "", CLEAN, "", *head(["sampler", "clean", "of models", "not clean"])]
    lines += [line(cells) for cells in clean_rows(rows, samplers)]
    return "\n".join(lines)


def clean_rows(rows: Sequence[dict], samplers: Sequence[str]) -> list[tuple[str, ...]]:
    """Return for each sampler its name, how many models are clean, of how many, and the others."""
    table = []
    for sampler in samplers:
        found = clean_models(rows, sampler)
        others = ", ".join(model for model, is_clean in found.items() if not is_clean)
        table.append((sampler, str(sum(found.values())), str(len(found)), others))
    return table


def losses_section(rows: Sequence[dict], models: Sequence[str], samplers: Sequence[str]) -> str:
    """Render every model on which a peer does better, and what was measured there."""
    found = losses(rows, models, samplers)
    lines = ["## Where a peer does better", ""]
    if not found:
        return "\n".join([*lines, "Nowhere."])
    return "\n".join([*lines, NOTE, "", *head(HEADS), *(line(cells_of(each)) for each in found)])


def skipped_of(rows: Sequence[dict]) -> str:
    """Say what was not run, and why; nothing where all was."""
    left_out: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if "skipped" in row:
            left_out.setdefault((row["skipped"], row["sampler"], row["caches"]), []).append(row["model"])
    told = [f"{sampler} ({caches}) on {', '.join(names)}" for (_, sampler, caches), names in left_out.items()]
    reasons = " and ".join(dict.fromkeys(reason for reason, _, _ in left_out))
    return f"Not run, as {reasons}: {'; '.join(told)}." if told else ""


def first_of(winners: Mapping[str, str | None]) -> str:
    """Say on how many models we were first, and who was on the others."""
    lost = [f"{model} ({winner or 'none'})" for model, winner in winners.items() if winner != OURS]
    first = f"{OURS} was the first to 400 ESS of every parameter on {len(winners) - len(lost)} of {len(winners)} models"
    return f"New to all samplers, {first}; others: {', '.join(lost) or 'none'}."


def correctness_section(rows: Sequence[dict], models: Sequence[str], samplers: Sequence[str]) -> str:
    """Render how far the draws are from the reference moments and from convergence."""
    note = "The worst of all runs; distances from the reference draws in standard errors."
    lines = ["## Correctness", "", note, ""]
    lines += head(["model", "sampler", "mean off by", "sd off by", *_DIAGNOSTICS])
    for model in models:
        for sampler in samplers:
            measured = select(rows, lambda measurement: measurement, model=model, sampler=sampler)
            cells = _worst(measured) if measured else ["not measured", *[""] * (1 + len(_DIAGNOSTICS))]
            lines.append(line([model, sampler, *cells]))
    return "\n".join(lines)


def failures_section(rows: Sequence[dict]) -> str:
    """Render every cell that has no measurement, with the reason."""
    failed = [row for row in rows if "failure" in row]
    lines = ["## Failures", ""]
    if not failed:
        return "\n".join([*lines, "None."])
    names = list(dict.fromkeys(name for row in failed for name in row))
    lines += head(names)
    lines += [line([str(row.get(name, "")) for name in names]) for row in failed]
    return "\n".join(lines)


def short_table(rows: Sequence[dict], models: Sequence[str], samplers: Sequence[str]) -> str:
    """Render the README's table: for every figure, how many times better than each peer, and on which model least."""
    peers = [name for name in samplers if name != OURS]
    lines = head([f"{OURS}, times better than", *peers])
    for figure in FIGURES:
        if (figure.goals or figure.floors or figure == FIRST) and _measured(figure, rows):
            cells = [_mean_and_least(figure, evaluate(figure, rows, peer), peer) for peer in peers]
            if any(cells):
                lines.append(line([figure.title, *cells]))
    if any("n_scalars" in row.get("measurement", {}) for row in rows):  # else not every scalar was judged
        lines.append(line(["Models with a clean run: nutmill's, then theirs", *(_both_clean(rows, p) for p in peers)]))
    return "\n".join([*lines, "", first_of(first_to_400_ess(rows, models, samplers))])


def _both_clean(rows: Sequence[dict], peer: str) -> str:
    """Count clean models of ours and of a peer, among those that both have run."""
    ours, theirs = clean_models(rows, OURS), clean_models(rows, peer)
    both = ours.keys() & theirs.keys()
    counts = [sum(found[model] for model in both) for found in (ours, theirs)]
    return f"**{counts[0]}** : {counts[1]} of {len(both)}" if both else ""


def _mean_and_least(figure: Figure, outcome: Outcome, peer: str) -> str:
    """Write the geometric mean with its goal, and the model with the lowest ratio."""
    if not outcome.ratios:
        return ""
    least = min(outcome.ratios, key=lambda model: outcome.ratios[model].value)
    goal = f", goal {figure.goals[peer]:g}" if peer in figure.goals else ""
    some = f" of {len(outcome.ratios)}" if outcome.unmeasured else ""
    return f"**{outcome.overall.value:.2f}**{some}{goal}; least {outcome.ratios[least].value:.2f} ({least})"


def show(ratio: Ratio) -> str:
    """Write a ratio with its standard error where that is known, as `1.31 ± 0.04`."""
    if math.isnan(ratio.value):
        return "not measured"
    error = "" if math.isnan(ratio.log_error) else f" ± {ratio.value * ratio.log_error:.2f}"
    return f"{ratio.value:.2f}{error}"


def _measured(figure: Figure, rows: Sequence[dict]) -> list[str]:
    """The models of which there are rows in the state that the figure is read in."""
    known = {row["model"] for row in rows if row["caches"] == figure.caches}
    return [model for model in figure.models if model in known]


def _goal(figure: Figure) -> str:
    better = "larger" if figure.larger_is_better else "smaller"
    goals = [f"geometric mean against {peer} at least {goal:g}" for peer, goal in figure.goals.items()]
    goals += [f"no model surely below {floor:g} of {peer}" for peer, floor in figure.floors.items()]
    return f"Caches: {figure.caches}; {better} is better. Goals for the ratios: {', '.join(goals) or 'none'}."


def _value(figure: Figure, rows: Sequence[dict], model: str, sampler: str) -> str:
    found = values(figure, rows, model, sampler)
    return f"{math.prod(found) ** (1 / len(found)):.3g}" if found else "not measured"


def _verdict(figure: Figure, peer: str, outcome: Outcome, model: str) -> str:
    if model not in outcome.ratios:
        return "**not measured**" if figure.wants(peer) else "not measured"
    each, floor = outcome.ratios[model], figure.floors.get(peer, 0.0)
    return f"**{show(each)}, missed**" if floor and each.surely_below(floor) else show(each)


def _worst(measured: Sequence[dict]) -> list[str]:
    def furthest(moment: str) -> str:
        far = [abs(distance[moment]) for each in measured for distance in each["distances"].values()]
        return f"{max(far):.1f}" if far else "no reference"

    return [
        furthest("mean"),
        furthest("sd"),
        f"{max(each['quality']['rhat_max'] for each in measured):.3f}",
        *(f"{min(each['quality'][least] for each in measured):.0f}" for least in ("ess_bulk_min", "ess_tail_min")),
        str(max(each["divergences"] for each in measured)),
        "yes" if all(is_clean(each["quality"], each["divergences"]) for each in measured) else "no",
    ]


def head(names: Sequence[str]) -> list[str]:
    """Return the two lines above a table's body; all columns but the first are aligned to the right."""
    return [line(names), line(["---", *["---:"] * (len(names) - 1)])]


def line(cells: Sequence[str]) -> str:
    """Return one line of a table; a bar within a cell does not end it."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
