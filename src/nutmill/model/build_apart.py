"""Compiles in a process of its own, so that this one keeps the code and nothing of what compiling took.

Numba keeps what it has compiled for the life of the process. The graph goes to the child as bytes, and its answer
comes back as bytes: an entry as the cache has them, or the error.
"""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import cloudpickle
import numpy as np

from nutmill.errors import ModelError, NutmillError
from nutmill.model.graphs.graph import ModelGraph
from nutmill.model.lowering.environment import pytensor_options
from nutmill.native.container import Entry
from nutmill.native.processor import Target

CHILD = "nutmill.model.child"  # which brings all that compiles, and so is imported in the child alone
REQUEST, ANSWER = "request", "answer"


class CompileRequest(NamedTuple):
    """What the child compiles."""

    graph: ModelGraph
    made_for: Target
    options: Mapping[str, object]  # of PyTensor, as they are in the parent


class CompileAnswer(NamedTuple):
    """What the child made."""

    entry: Entry | None  # the code; None if it cannot leave its process
    kernel: bytes  # object file of the sampler
    stages: dict[str, float]  # CPU seconds of each step
    python_ops: tuple[str, ...]  # ops that run in the interpreter
    peak_bytes: int  # the most memory that the child has had


def compile_apart(graph: ModelGraph, made_for: Target) -> tuple[CompileAnswer, Entry]:
    """Compile a graph in a child process; returns the answer of the child, and the code in it.

    Raises ModelError as compiling here would; or if the graph cannot be sent, also for want of room in the folder of
    temporary files, its code cannot come back, or the child dies.
    """
    try:
        request = cloudpickle.dumps(CompileRequest(_bare(graph), made_for, pytensor_options()))
    except Exception as error:  # whatever a class of the user's raises when it is pickled
        raise ModelError(
            f"This model cannot be sent to another process ({error}): compile it without isolate=True."
        ) from error
    try:
        with tempfile.TemporaryDirectory(prefix="nutmill-compile-") as folder:
            (Path(folder) / REQUEST).write_bytes(request)
            found = _answer_of(Path(folder))
    except OSError as error:
        raise ModelError(
            f"This model cannot be handed to another process through the folder of temporary files ({error.strerror}): "
            "let TMPDIR name one with room, or compile it without isolate=True."
        ) from error
    if isinstance(found, NutmillError):
        raise found
    if found.entry is None:
        why = f"{', '.join(found.python_ops)} runs in Python" if found.python_ops else "it needs Numba's engine"
        raise ModelError(f"The code of this model cannot leave its process: {why}. Compile it without isolate=True.")
    return found, found.entry


def _answer_of(folder: Path) -> CompileAnswer | NutmillError:
    child = subprocess.run(
        [sys.executable, "-m", CHILD, str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if not (folder / ANSWER).exists():
        raise ModelError(_cause_of_death(child.returncode, child.stderr))
    return pickle.loads((folder / ANSWER).read_bytes())


def _cause_of_death(status: int, errors: str) -> str:
    if status == -signal.SIGKILL:
        return (
            "The process that compiles this model was killed, probably because the machine has too little memory for "
            "it: use a machine with more, compile there and save() the model."
        )
    last = next((line for line in reversed(errors.splitlines()) if line.strip()), f"exit code {status}")
    return f"The process that compiles this model ended without its code ({last}): compile it without isolate=True."


def _bare(graph: ModelGraph) -> ModelGraph:
    """The graph with nothing in it that compiling does not look at: no data, no functions of PyMC's model."""
    arrays = tuple(a._replace(value=np.zeros((0,) * a.value.ndim, a.value.dtype)) for a in graph.arrays)
    return ModelGraph(
        parameters=graph.parameters,
        arrays=arrays,
        logp=graph.logp,
        expanded=graph.expanded,
        sites=graph.sites,
        dtype=graph.dtype,
        lowering=graph.lowering,
        native_density=graph.native_density,
        data_is_tuple=graph.data_is_tuple,
    )
