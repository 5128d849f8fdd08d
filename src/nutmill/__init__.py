"""nutmill samples PyMC models with NUTS at machine speed on CPUs."""

from importlib import import_module
from typing import TYPE_CHECKING

from nutmill.model.garbage import seldom_collecting

if TYPE_CHECKING:  # what editors and type checkers read; at run time `__getattr__` does it
    from nutmill.comparison.comparing import compare
    from nutmill.diagnosis.verdict import diagnose
    from nutmill.errors import ArgumentError, CheckpointError, LayoutError, ModelError, NutmillError, SamplingError
    from nutmill.explanation.explaining import explain
    from nutmill.layout.layout import Layout
    from nutmill.many.fit_seed import fit_seed
    from nutmill.many.folds import leave_future_out
    from nutmill.many.power import power
    from nutmill.many.refit import refit
    from nutmill.many.reloo import reloo
    from nutmill.many.sample_many import sample_many
    from nutmill.many.sbc import sbc
    from nutmill.model.compile_model import compile_model
    from nutmill.native.compiled import CompiledModel, load
    from nutmill.progress.status import status
    from nutmill.results.attributes import attributes_of
    from nutmill.results.fingerprints import check_data
    from nutmill.run.adaptation import AdaptationState
    from nutmill.sampling.chosen_layout import find_layout
    from nutmill.sampling.merge import merge
    from nutmill.sampling.resume import resume
    from nutmill.sampling.running import Running
    from nutmill.sampling.sample import sample, sample_numba
    from nutmill.sampling.steering import Snapshot
    from nutmill.sampling.warm_start import adaptation_of

    __version__: str

__all__ = [
    "AdaptationState",
    "ArgumentError",
    "CheckpointError",
    "CompiledModel",
    "Layout",
    "LayoutError",
    "ModelError",
    "NutmillError",
    "Running",
    "SamplingError",
    "Snapshot",
    "adaptation_of",
    "attributes_of",
    "check_data",
    "compare",
    "compile_model",
    "diagnose",
    "explain",
    "find_layout",
    "fit_seed",
    "leave_future_out",
    "load",
    "merge",
    "power",
    "refit",
    "reloo",
    "resume",
    "sample",
    "sample_many",
    "sample_numba",
    "sbc",
    "status",
]

_HOMES = {
    "CompiledModel": "nutmill.native.compiled",
    "compile_model": "nutmill.model.compile_model",
    "sample": "nutmill.sampling.sample",
    "sample_numba": "nutmill.sampling.sample",
    "sample_many": "nutmill.many.sample_many",
    "sbc": "nutmill.many.sbc",
    "power": "nutmill.many.power",
    "refit": "nutmill.many.refit",
    "reloo": "nutmill.many.reloo",
    "leave_future_out": "nutmill.many.folds",
    "fit_seed": "nutmill.many.fit_seed",
    "compare": "nutmill.comparison.comparing",
    "explain": "nutmill.explanation.explaining",
    "resume": "nutmill.sampling.resume",
    "merge": "nutmill.sampling.merge",
    "status": "nutmill.progress.status",
    "attributes_of": "nutmill.results.attributes",
    "check_data": "nutmill.results.fingerprints",
    "diagnose": "nutmill.diagnosis.verdict",
    "AdaptationState": "nutmill.run.adaptation",
    "Running": "nutmill.sampling.running",
    "Snapshot": "nutmill.sampling.steering",
    "adaptation_of": "nutmill.sampling.warm_start",
    "CheckpointError": "nutmill.errors",
    "Layout": "nutmill.layout.layout",
    "load": "nutmill.native.compiled",
    "find_layout": "nutmill.sampling.chosen_layout",
    "LayoutError": "nutmill.errors",
    "ArgumentError": "nutmill.errors",
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
        with seldom_collecting():
            return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Name what users may take, for completion by the tab key: of modules only those that are imported by name."""
    doors = [name for name in ("bambi", "pymc") if name in globals()]
    return sorted([*__all__, *doors, *(name for name in globals() if name.startswith("__"))])
