"""`nutmill status`: how runs are doing, seen from another shell."""

import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from nutmill.cli.console import print_json, printable
from nutmill.cli.options import Json
from nutmill.cli.run_folders import runs_in
from nutmill.units import rate

_WATCH_S = 2.0
_LIVE = ("waiting", "warmup", "sampling")

_Folders = Annotated[
    list[Path], typer.Argument(metavar="FOLDER...", help="Runs: what --checkpoint named, or a folder of such folders.")
]


def status(
    folders: _Folders,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew every two seconds, until all have ended.")
    ] = False,
    json: Json = False,
) -> None:
    """Show how runs are doing: phase, draws, divergences, speed, time left, last checkpoint."""
    if watch and json:
        raise typer.BadParameter("--watch shows many states, and --json prints one document: leave out one of both.")
    runs = [run for folder in folders for run in runs_in(folder)]
    if json:
        print_json([{"folder": str(run)} | one for run, one in read(runs).items()])
        return
    while True:
        states = read(runs)
        if watch and sys.stdout.isatty():
            print("\x1b[H\x1b[2J", end="")  # from the top of an empty screen
        print("\n".join(line for run, one in states.items() for line in lines(run, one)), flush=True)
        if not watch or not any(one["is_running"] for one in states.values()):
            return
        time.sleep(_WATCH_S)


def read(runs: list[Path]) -> dict[Path, dict[str, Any]]:
    """Ask for the state of each run."""
    import nutmill

    return {run: nutmill.status(run) for run in runs}


def lines(run: Path, state: Mapping[str, Any]) -> list[str]:
    """Say how a run is doing: a line for all of it, and one for each chain."""
    from nutmill.units import time_span

    phase, is_live = state["phase"], state["is_running"] and state["phase"] in _LIVE
    if phase in _LIVE and not is_live:
        phase = f"no longer running, last seen in {phase}"
    is_enough = phase == "finished" and state["stopped_by"] == "until"
    parts = [
        f"{state['draws']} draws, which are enough"
        if is_enough
        else f"{state['draws']}/{state['draws_requested']} draws",
        f"{state['divergences']} divergent",
        f"{rate(state['gradients_per_s'])} gradients/s" if is_live and state["gradients_per_s"] is not None else None,
        f"{time_span(state['left_s'])} left" if is_live and state["left_s"] is not None else None,
        None if state["last_checkpoint"] is None else f"last checkpoint {_ago(state['last_checkpoint'])}",
        f"process {state['owner']['pid']} on {state['owner']['host']}" if is_live else None,
    ]
    head = f"{printable(run)}: {phase}; {', '.join(part for part in parts if part is not None)}"
    return [head, *(_chain(chain) for chain in state["chains"])]


def _ago(moment: str) -> str:
    """Say how long ago a moment in UTC was; of one that lies ahead, by a clock of another machine, when it is."""
    from nutmill.units import time_span

    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    return f"{time_span(seconds)} ago" if seconds >= 0.0 else f"at {moment}"


def _chain(chain: Mapping[str, Any]) -> str:
    total = "" if chain["total"] is None else f"/{chain['total']}"
    step = "" if chain["step_size"] is None else f", step size {chain['step_size']:.3g}"
    return (
        f"    chain {chain['chain']}: {chain['phase']} {chain['draw']}{total}, {chain['divergences']} divergent{step}"
    )
