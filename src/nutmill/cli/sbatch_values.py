"""Values of `nutmill sbatch` as the user types them: only what cannot break a line of a job script."""

import re
from pathlib import Path

# What the scripts rely on is not for others to say.
_OWN = {
    "array",
    "chdir",
    "cpus-per-task",
    "dependency",
    "hint",
    "job-name",
    "nodes",
    "ntasks",
    "open-mode",
    "output",
} | {"parsable", "partition", "requeue", "signal", "time", "wait", "wrap"}


def sbatch_option(text: str) -> str:
    """Read ``account=me`` or ``exclusive``; raises ValueError with what is wrong, as all readers here."""
    if not re.fullmatch(r"[a-z][a-z-]*(=[^\s#]+)?", text):
        raise ValueError(f"an option of sbatch is given as account=me or exclusive, not {text!r}.")
    if (name := text.partition("=")[0]) in _OWN:
        raise ValueError(f"nutmill sets --{name} itself, or has an option for it.")
    return f"--{text}"


def partition(text: str) -> str:
    """Read the name of a partition, or several with commas between them."""
    if not re.fullmatch(r"[\w.,-]+", text):
        raise ValueError(f"{text!r} is no name of a partition.")
    return text


def folder(text: str) -> Path:
    """Read the name of a folder."""
    # Slurm reads % as a pattern, and splits a line of options at blanks.
    if not re.fullmatch(r"[\w./+-]+", text) or text.startswith("-"):
        raise ValueError(f"the name of the folder is made of letters, digits and . _ - + /, not {text!r}.")
    return Path(text)


def result(text: str) -> str:
    """Read the name of a result."""
    if not re.fullmatch(r"\w[\w.+-]*\.(nc|zarr)", text):
        raise ValueError(f"the result is called result.nc, result.zarr or the like, not {text!r}.")
    return text


def check_file(text: str) -> None:
    """Refuse the name of a file that a line of a script does not hold as it is, or that does other things there."""
    if not text.isprintable():
        raise ValueError(f"the name of a file in a job script has no line breaks or other such characters: {text!r}.")


def shell_line(text: str) -> str:
    """Read a line of shell."""
    if "\n" in text or not text.strip():
        raise ValueError("a line of shell is one line, and not empty.")
    return text
