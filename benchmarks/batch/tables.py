"""Renders what batch jobs rest on as Markdown: costs, memory over time, kills, and the goals."""

import math
from collections.abc import Sequence
from statistics import median

from benchmarks.batch.command import COST, DASK, KILLS, SLURM, SUSTAINED, VARIANTS
from benchmarks.goals import Goal, goals_section, number
from benchmarks.tables import head, line

COST_PERCENT, MB_PER_S, GROWTH_MB, OVERHEAD_MS, SLURM_S = 2.0, 10.0, 20.0, 5.0, 300.0
# Memory is compared from here on: before, the warmup and buffers of a first block come to their size.
SETTLED_SHARE = 0.1


def sections(report: dict) -> list[str]:
    """Render all sections of the page that have something to show."""
    by_cell: dict[str, list[dict]] = {cell: [] for cell in (COST, SUSTAINED, KILLS, DASK, SLURM)}
    for row in report["rows"]:
        if "measurement" in row:
            by_cell[row["cell"]].append(row)
    made = [cost_section(by_cell[COST]), memory_section(by_cell[SUSTAINED]), kills_section(by_cell[KILLS])]
    return [*filter(None, made), goals_section(goals(by_cell))]


def goals(by_cell: dict[str, list[dict]]) -> list[Goal]:
    """Judge the rows of each cell."""
    return [
        Goal("checkpoints at the default interval, % of wall time", _cost(by_cell[COST], "wall"), COST_PERCENT, True),
        Goal("checkpoints at the default interval, % of CPU time", _cost(by_cell[COST], "cpu"), COST_PERCENT, True),
        Goal("draws to disk, MB/s", _median(by_cell[SUSTAINED], "mb_per_s"), MB_PER_S, False),
        Goal("growth of memory meanwhile, MB", _growth(by_cell[SUSTAINED]), GROWTH_MB, True),
        Goal("killed runs that came to the same bytes, %", _equal_percent(by_cell[KILLS]), 100.0, False),
        Goal("a chain through Dask, ms more than here", _median(by_cell[DASK], "overhead_ms"), OVERHEAD_MS, True),
        Goal("tests with a real Slurm, s", _median(by_cell[SLURM], "wall_s"), SLURM_S, True),
    ]


def cost_section(rows: Sequence[dict]) -> str | None:
    """Render what checkpoints cost, and whether all variants have drawn the same."""
    if not rows:
        return None
    note = "The same run of four chains on two cores, medians over rounds; the model has been compiled before."
    lines = ["## Checkpoints", "", note, "", *head(["checkpoints", "wall s", "CPU s", "us a gradient", "rounds"])]
    for variant in VARIANTS:
        chosen = [row["measurement"] for row in rows if row["variant"] == variant]
        cells = ["not measured"] * 3
        if chosen:
            wall, cpu = (median(each["sampled"][clock] for each in chosen) for clock in ("wall", "cpu"))
            cells = [number(wall), number(cpu), number(1e6 * cpu / chosen[0]["gradients"])]
        lines.append(line([variant, *cells, str(len(chosen))]))
    same = len({row["measurement"]["digest"] for row in rows}) == 1
    return "\n".join([*lines, "", "All have the same draws." if same else "**The draws differ.**"])


def memory_section(rows: Sequence[dict]) -> str | None:
    """Render the memory of a long run at some moments."""
    if not rows:
        return None
    seen = rows[0]["measurement"]["memory"]
    shown = [seen[round(share * (len(seen) - 1))] for share in (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)]
    lines = ["## Memory of a long run", "", "Memory that is not shared with files, while draws go to the disk.", ""]
    lines += head(["seconds", *[f"{second:.0f}" for second, _ in shown]])
    return "\n".join([*lines, line(["MB", *[f"{size_mb:.0f}" for _, size_mb in shown]])])


def kills_section(rows: Sequence[dict]) -> str | None:
    """Render how many killed runs came to the same bytes, for each number of chains."""
    if not rows:
        return None
    runs = [run for row in rows for run in row["measurement"]["runs"]]
    note = "Runs ended by SIGKILL at random moments, then resumed; *begun anew*: there was nothing yet to resume."
    lines = ["## Kills", "", note, "", *head(["chains", "killed", "same bytes", "begun anew"])]
    for chains in sorted({run["chains"] for run in runs}):
        chosen = [run for run in runs if run["chains"] == chains]
        counts = [len(chosen), *(sum(run[what] for run in chosen) for what in ("equal", "began_anew"))]
        lines.append(line([str(chains), *map(str, counts)]))
    return "\n".join(lines)


def _cost(rows: Sequence[dict], clock: str) -> float:
    """Return the cost of checkpoints in per cent of a run without."""
    spent = {
        variant: [row["measurement"]["sampled"][clock] for row in rows if row["variant"] == variant]
        for variant in ("without", "default")
    }
    if not all(spent.values()):
        return math.nan
    return 100.0 * (median(spent["default"]) / median(spent["without"]) - 1.0)


def _median(rows: Sequence[dict], name: str) -> float:
    return median(row["measurement"][name] for row in rows) if rows else math.nan


def _growth(rows: Sequence[dict]) -> float:
    """Return how far memory rose above where it was when the run had settled."""
    if not rows:
        return math.nan
    seen = [size_mb for _, size_mb in rows[0]["measurement"]["memory"]]
    settled = seen[round(SETTLED_SHARE * (len(seen) - 1)) :]
    return max(settled) - settled[0]


def _equal_percent(rows: Sequence[dict]) -> float:
    runs = [run for row in rows for run in row["measurement"]["runs"]]
    return 100.0 * sum(run["equal"] for run in runs) / len(runs) if runs else math.nan
