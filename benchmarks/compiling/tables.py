"""Renders compile times and memory as Markdown: a table a cell, the goals, and a short table for the README."""

import math
from collections.abc import Sequence

from benchmarks.compiling import plan
from benchmarks.compiling.figures import Rows, goals
from benchmarks.compiling.plan import OURS
from benchmarks.goals import goals_section, number
from benchmarks.tables import head, line

_CALL = (
    "To the first draw: from the call that compiles until one draw of one chain, after one draw of warmup, has been "
    "returned, in CPU seconds of all threads and child processes (wall seconds), medians over the rounds. Imports, and "
    "building the model, are left out. Of PyMC it is `pm.sample`, which compiles what it needs."
)
_COLD = "The caches are those of an installation that has run before, on another model."
_WARM = "Another process has compiled and sampled the same model with the same caches."
_WHOLE = (
    "CPU seconds (wall seconds) of 4 x 1000 draws at defaults, from the call to the result with its report, sampling "
    "included. *First call*: of `sample_numba` in a new process, where the model was compiled by another; PyMC is "
    "imported and the model built before. *Later call*: of a compiled model that has been sampled before."
)
_OTHER = "As warm, but the model is built on a data set of another size."
_NEW = (
    "The same compiled regression, in the same process, from `with_data` to the first draw; design and outcomes are "
    "`pm.Data`."
)
_PROCESS = (
    "Wall seconds (CPU seconds) from the start of a process, imports included. *Artifact*: `nutmill.load` of a saved "
    "model; to the first draw, and until the result has been returned, for which ArviZ is imported. The others import "
    "PyMC, build the model, find their caches warm, and return their result. Imports and MB are those at an artifact's "
    "first draw."
)
_MEMORY = (
    "MB. *Peak*: high-water mark of the process, or of its largest child, at the first draw with cold caches (of that, "
    "what came after PyMC was imported and the model built). *Kept*: what the resident size of a process has grown by "
    "when `compile_model` has returned, garbage was collected and free pages were given back."
)
_APART = (
    "CPU seconds (wall seconds). *Imports*: the sampler and all that it imports on the way, with cold and with warm "
    "caches, the medians of all models; PyMC was imported before. *First run ever*: as cold, on a model of ten normal "
    "variables with empty caches, in which a sampler may compile what all models share."
)


def sections(report: dict) -> list[str]:
    """Render all sections of the page."""
    rows, models = Rows(report["rows"]), report["settings"]["models"]
    samplers = report["settings"]["samplers"]
    made = [
        _CALL,
        _times_section("Cold", _COLD, rows, models, samplers, plan.COLD),
        _times_section("Warm, new process", _WARM, rows, models, samplers, plan.WARM),
        _times_section("Another data set, new process", _OTHER, rows, models, samplers, plan.OTHER_DATA),
        _times_section("Other data in the same process", _NEW, rows, models, plan.TAKE_NEW_DATA, plan.NEW_DATA),
        _process_section(rows, models, samplers),
        _call_section(rows, models),
        _memory_section(rows, models, samplers),
        _apart_section(rows, samplers),
        goals_section(goals(rows, models)),
    ]
    return [section for section in made if section]


def short_table(report: dict) -> str:
    """Render the README's table: CPU seconds to the first draw, cold and warm, beside the peers', and artifacts."""
    rows, models = Rows(report["rows"]), report["settings"]["models"]
    samplers, path = report["settings"]["samplers"], "first_draw.cpu"
    columns = [(cell, sampler) for cell in (plan.COLD, plan.WARM) for sampler in samplers]
    lines = head(
        ["CPU s to the first draw", *[f"{cell}: {sampler}" for cell, sampler in columns], "artifact, with imports"]
    )
    for model in models:
        cells = [number(rows.median(path, model=model, sampler=sampler, cell=cell)) for cell, sampler in columns]
        artifact = rows.median("drawn.cpu", model=model, sampler=OURS, cell=plan.ARTIFACT)
        lines.append(line([model, *cells, number(artifact)]))
    overall = [
        "" if sampler == OURS else f"**{number(rows.overall(path, models, sampler, cell))}**"
        for cell, sampler in columns
    ]
    return "\n".join([*lines, line([f"**times {OURS}, geometric mean**", *overall, ""])])


def _times_section(
    title: str, note: str, rows: Rows, models: Sequence[str], samplers: Sequence[str], cell: str
) -> str | None:
    """Render times per model and sampler, and how many times as much CPU as nutmill each peer takes."""
    measured = [model for model in models if rows.each("first_draw.cpu", model=model, cell=cell)]
    peers = [sampler for sampler in samplers if sampler != OURS]
    lines = [f"## {title}", "", note, ""]
    lines += head(["model", *samplers, *[f"{peer} / {OURS}" for peer in peers], "rounds"])
    for model in measured:
        cells = [_spent(rows, "first_draw", model, sampler, cell) for sampler in samplers]
        ratios = [number(rows.times("first_draw.cpu", model, peer, cell)) for peer in peers]
        counts = [len(rows.each("first_draw.cpu", model=model, sampler=name, cell=cell)) for name in samplers]
        lines.append(line([model, *cells, *ratios, ", ".join(map(str, counts))]))
    means = [f"**{number(rows.overall('first_draw.cpu', measured, peer, cell))}**" for peer in peers]
    lines.append(line(["**geometric mean**", *[""] * len(samplers), *means, ""]))
    return "\n".join(lines) if measured else None


def _process_section(rows: Rows, models: Sequence[str], samplers: Sequence[str]) -> str:
    lines = ["## From the start of a process", "", _PROCESS, ""]
    warm = [f"{sampler}, warm" for sampler in samplers]
    lines += head(["model", "artifact, draw", "artifact, result", *warm, "artifact imports", "artifact, MB"])
    for model in models:
        ours = {"model": model, "sampler": OURS, "cell": plan.ARTIFACT}
        warm = [_spent(rows, "since_start", model, sampler, plan.WARM, is_wall_first=True) for sampler in samplers]
        imported = rows.each("imported_compilers", **ours)
        artifact = [
            _spent(rows, what, model, OURS, plan.ARTIFACT, is_wall_first=True) for what in ("drawn", "since_start")
        ]
        peak = number(rows.median("peak_rss_mb", **ours))
        lines.append(line([model, *artifact, *warm, _names(imported), peak]))
    return "\n".join(lines)


def _call_section(rows: Rows, models: Sequence[str]) -> str:
    lines = ["## A whole call of nutmill", "", _WHOLE, "", *head(["model", "first call, model known", "later call"])]
    for model in models:
        cell = {"model": model, "sampler": OURS, "cell": plan.CALL}
        lines.append(line([model, _pair(rows, "first_call", cell), _pair(rows, "later_call", cell)]))
    return "\n".join(lines)


def _names(imported: Sequence[Sequence[str]]) -> str:
    """Write which compilers artifacts have imported, over all rounds."""
    found = sorted({name for names in imported for name in names})
    return ", ".join(found) or ("no compiler" if imported else "not measured")


def _memory_section(rows: Rows, models: Sequence[str], samplers: Sequence[str]) -> str:
    peers = [sampler for sampler in samplers if sampler != OURS]
    lines = ["## Memory", "", _MEMORY, ""]
    columns = [f"{sampler}, peak" for sampler in samplers] + [f"{peer} / {OURS}" for peer in peers]
    lines += head(["model", *columns, "kept", "kept, isolate=True"])
    for model in models:
        peaks = [_peak(rows, model, sampler) for sampler in samplers]
        ratios = [number(rows.times("peak_rss_mb", model, peer, plan.COLD)) for peer in peers]
        kept = [
            number(rows.median("kept_mb", model=model, sampler=OURS, cell=cell))
            for cell in (plan.IN_PROCESS, plan.ISOLATED)
        ]
        lines.append(line([model, *peaks, *ratios, *kept]))
    return "\n".join(lines)


def _peak(rows: Rows, model: str, sampler: str) -> str:
    cell = {"model": model, "sampler": sampler, "cell": plan.COLD}
    peak, added = rows.median("peak_rss_mb", **cell), rows.median("added_mb", **cell)
    return number(peak) if math.isnan(peak) else f"{number(peak)} ({number(added)})"


def _apart_section(rows: Rows, samplers: Sequence[str]) -> str:
    lines = ["## Once a process, once an installation", "", _APART, ""]
    lines += head(["sampler", "imports, cold", "imports, warm", "first run ever"])
    for sampler in samplers:
        imports = [_pair(rows, "imported", {"sampler": sampler, "cell": cell}) for cell in (plan.COLD, plan.WARM)]
        first = _pair(rows, "first_draw", {"sampler": sampler, "cell": plan.FIRST_EVER})
        lines.append(line([sampler, *imports, first]))
    return "\n".join(lines)


def _spent(rows: Rows, what: str, model: str, sampler: str, cell: str, *, is_wall_first: bool = False) -> str:
    cell = {"model": model, "sampler": sampler, "cell": cell}
    return _pair(rows, what, cell, ("wall", "cpu") if is_wall_first else ("cpu", "wall"))


def _pair(rows: Rows, what: str, cell: dict[str, str], clocks: tuple[str, str] = ("cpu", "wall")) -> str:
    first, second = (rows.median(f"{what}.{clock}", **cell) for clock in clocks)
    return "not measured" if math.isnan(first) else f"{number(first)} ({number(second)})"
