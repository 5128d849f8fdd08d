"""The process that `build_apart` starts: it compiles one graph, and ends with all the memory that this took."""

import pickle
import sys
from pathlib import Path

from pytensor import config

from nutmill.errors import NutmillError
from nutmill.files import replace_file
from nutmill.model.build import compile_here
from nutmill.model.build_apart import ANSWER, REQUEST, CompileAnswer, CompileRequest
from nutmill.model.graphs.start import without_c
from nutmill.model.lowering.environment import pytensor_options
from nutmill.native.code import entry_of
from nutmill.native.process_memory import peak_bytes


def answer(request: CompileRequest) -> CompileAnswer | NutmillError:
    """Compile what the parent asks for, with its options of PyTensor."""
    here = pytensor_options()
    stages: dict[str, float] = {}
    try:
        with without_c(), config.change_flags(**{k: v for k, v in request.options.items() if v != here[k]}):
            code = compile_here(request.graph, request.made_for, stages)
    except NutmillError as error:
        return error
    entry = entry_of(code) if code.stands_alone else None
    return CompileAnswer(entry, code.kernel.code, stages, code.python_ops, peak_bytes())


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    replace_file(folder / ANSWER, pickle.dumps(answer(pickle.loads((folder / REQUEST).read_bytes()))))
