"""The end of a command that has draws: its result goes into a file, a verdict to the user, a code to the shell."""

from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from nutmill.cli.console import print_json
from nutmill.errors import SamplingError

if TYPE_CHECKING:
    import arviz
    import xarray as xr

    from nutmill.diagnosis.verdict import Verdict


class Exit(IntEnum):
    """What a command ends with."""

    GOOD = 0
    ERROR = 1
    USAGE = 2
    STOPPED = 3
    NOT_CONVERGED = 4


def code_of(is_doubtful: bool, *, strict: bool) -> Exit:
    """Choose the code of a command that has finished with draws."""
    return Exit.NOT_CONVERGED if strict and is_doubtful else Exit.GOOD


ALWAYS = (Exit.GOOD, Exit.ERROR, Exit.USAGE)
STOPPABLE = (*ALWAYS, Exit.STOPPED, Exit.NOT_CONVERGED)
JUDGES = (*ALWAYS, Exit.NOT_CONVERGED)

_MEANINGS = {
    Exit.GOOD: "it has finished",
    Exit.ERROR: "an error, with one sentence on stderr",
    Exit.USAGE: "a wrong command line",
    Exit.STOPPED: "stopped early, by a signal or --max-time; `nutmill resume`, or this command again, goes on",
    Exit.NOT_CONVERGED: "it has finished, and --strict was asked for, and something says not to trust the draws yet",
}


def meaning(code: Exit) -> str:
    """Say what a code means, for a command's help."""
    return f"{code.value} - {_MEANINGS[code]}"


# What may be missing of a result because the user wants it so.
_ASKED_FOR = ("max_time", "partial")


class Wanted(NamedTuple):
    """What is to become of a result."""

    out: Path | None  # where it goes
    checkpoint: Path | None  # folder of the run, which can go on there if it was stopped
    # As the options are called.
    strict: bool
    json: bool

    def check(self) -> None:
        """Refuse, before anything is computed, a result that could not be written; raises ModelError."""
        if self.out is not None:
            from nutmill.results.storage import check_target

            check_target(self.out)


def finish(result: "arviz.InferenceData | xr.DataTree", wanted: Wanted) -> None:
    """Store a result, print what is to be known of it, and end the command.

    Raises typer.Exit with the code that says how it went; ModelError if the result cannot be written there;
    SamplingError if a signal has stopped a run that cannot go on; its draws are in the file.
    """
    from nutmill.diagnosis.verdict import judge

    stopped_by = result.attrs.get("stopped_by")
    is_stopped = bool(result.attrs.get("interrupted"))
    can_go_on = is_stopped and wanted.checkpoint is not None
    # A file that is there is a run that has ended: the draws of one that can go on stay in its folder.
    out = None if can_go_on else wanted.out
    if out is not None:
        from nutmill.results.storage import save, save_or_rescue

        (save_or_rescue if wanted.checkpoint is None else save)(result, out)  # what is in a folder cannot be lost
    verdict = judge(result)
    code = Exit.STOPPED if can_go_on else code_of(verdict.is_doubtful, strict=wanted.strict)
    if wanted.json:
        print_json(_document(verdict, wanted, out, stopped_by, code))
    else:
        print("\n".join(_lines(verdict, wanted, out, stopped_by if is_stopped else None)))
    if is_stopped and not can_go_on and stopped_by not in _ASKED_FOR:
        raise SamplingError("The result has what was drawn; with --checkpoint the run could go on from there.")
    raise typer.Exit(code)


def _document(verdict: "Verdict", wanted: Wanted, out: Path | None, stopped_by: str | None, code: Exit) -> dict:
    return {
        "result": None if out is None else str(out),
        "checkpoint": None if wanted.checkpoint is None else str(wanted.checkpoint),
        "stopped_by": stopped_by,
        "is_resumable": code == Exit.STOPPED,
        **verdict.as_dict(),
    }


def _lines(verdict: "Verdict", wanted: Wanted, out: Path | None, stopped_by: str | None) -> list[str]:
    lines = verdict.lines()
    if stopped_by is not None and wanted.checkpoint is not None:
        later = [] if wanted.out is None else [f"{wanted.out} is written once the run has all its draws."]
        return [f"Stopped by {stopped_by}; to go on: nutmill resume {wanted.checkpoint}", lines[0], *later]
    return lines + ([] if out is None else [f"Result: {out}"])
