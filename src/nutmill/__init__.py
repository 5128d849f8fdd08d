"""nutmill samples PyMC models with NUTS at machine speed on CPUs."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what editors and type checkers read; at run time `__getattr__` does it
    from nutmill.artifact import load
    from nutmill.comparison.comparing import compare
    from nutmill.compiled import CompiledModel
    from nutmill.compiling import compile_model
    from nutmill.diagnosis.verdict import diagnose
    from nutmill.errors import CheckpointError, LayoutError, ModelError, NutmillError, SamplingError
    from nutmill.explanation.explaining import explain
    from nutmill.identity import check_data
    from nutmill.layout.pools import Layout
    from nutmill.layout_search import find_layout
    from nutmill.merging import merge
    from nutmill.resuming import resume
    from nutmill.run.adaptation import AdaptationState
    from nutmill.run.status import status
    from nutmill.sample import sample_numba
    from nutmill.warm import adaptation_of

    __version__: str

__all__ = [
    "AdaptationState",
    "CheckpointError",
    "CompiledModel",
    "Layout",
    "LayoutError",
    "ModelError",
    "NutmillError",
    "SamplingError",
    "adaptation_of",
    "check_data",
    "compare",
    "compile_model",
    "diagnose",
    "explain",
    "find_layout",
    "load",
    "merge",
    "resume",
    "sample_numba",
    "status",
]

_HOMES = {
    "CompiledModel": "nutmill.compiled",
    "compile_model": "nutmill.compiling",
    "sample_numba": "nutmill.sample",
    "compare": "nutmill.comparison.comparing",
    "explain": "nutmill.explanation.explaining",
    "resume": "nutmill.resuming",
    "merge": "nutmill.merging",
    "status": "nutmill.run.status",
    "check_data": "nutmill.identity",
    "diagnose": "nutmill.diagnosis.verdict",
    "AdaptationState": "nutmill.run.adaptation",
    "adaptation_of": "nutmill.warm",
    "CheckpointError": "nutmill.errors",
    "Layout": "nutmill.layout.pools",
    "load": "nutmill.artifact",
    "find_layout": "nutmill.layout_search",
    "LayoutError": "nutmill.errors",
    "ModelError": "nutmill.errors",
    "NutmillError": "nutmill.errors",
    "SamplingError": "nutmill.errors",
}


if not TYPE_CHECKING:  # to which a name that is not imported above is a misspelt one

    def __getattr__(name: str):
        """Import a public name when it is first used: PyTensor takes seconds, and `import nutmill` should not."""
        if name == "__version__":
            from importlib.metadata import version  # as slow to load as all the rest

            return version("nutmill")
        if name not in _HOMES:
            raise AttributeError(f"module 'nutmill' has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
