"""The graphs of all models that the tests and the benchmarks know, and their fingerprints."""

import pymc as pm
import zoo

from benchmarks import models
from nutmill.model.cache.fingerprint import fingerprint
from nutmill.model.graphs.graph import ModelGraph
from nutmill.model.graphs.pymc_model import from_pymc

__all__ = ["ALL", "ZOO", "build", "digest", "from_pymc"]

ZOO = sorted(name for name, made in vars(zoo).items() if getattr(made, "__annotations__", {}) == {"return": pm.Model})


def build(name: str) -> pm.Model:
    return getattr(zoo, name.removeprefix("zoo "))() if name.startswith("zoo ") else models.build(name)


ALL = (*(f"zoo {name}" for name in ZOO), *models.MODELS)


def digest(graph: ModelGraph) -> str:
    found = fingerprint(graph)
    assert found.digest is not None, found.reason
    return found.digest
