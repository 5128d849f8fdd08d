"""Exit codes, so that a job script can tell what to do next."""

from enum import IntEnum


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
    Exit.ERROR: "an error, told in one sentence on stderr",
    Exit.USAGE: "a wrong command line",
    Exit.STOPPED: "stopped early, by a signal or --max-time; `nutmill resume`, or this command again, goes on",
    Exit.NOT_CONVERGED: "it has finished, and --strict was asked for, and something says not to trust the draws yet",
}


def epilog(codes: tuple[Exit, ...]) -> str:
    """Say at the end of a command's help what its exit codes mean."""
    return "Exit codes: " + "; ".join(f"{code.value} - {_MEANINGS[code]}" for code in codes) + "."
