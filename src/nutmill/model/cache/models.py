"""Code of models in the cache: the key of a model, how its code goes in and comes back."""

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from nutmill.model.cache.fingerprint import fingerprint
from nutmill.model.graphs.graph import ModelGraph
from nutmill.model.lowering import environment
from nutmill.model.lowering.kernel import kernel_object
from nutmill.native import cache
from nutmill.native.code import Code, code_of, entry_of, object_in
from nutmill.native.description import Description, first_names
from nutmill.native.object import unresolved
from nutmill.native.processor import Target
from nutmill.progress.stderr import announce

_log = logging.getLogger("nutmill")

_KIND = "model"


def cache_key(graph: ModelGraph, target: Target) -> str | None:
    """Key of a model's fused code: its structure, and all that code is made with; None, and a log line, if none."""
    name = fingerprint(graph)
    reason = name.reason or environment.customised()
    if reason or name.digest is None:
        _log.info("this model is compiled and not cached: %s", reason)
        return None
    return environment.digest({"structure": name.digest, **environment.for_models(target)})


def find(key: str, target: Target, stages: dict[str, float]) -> Code | None:
    """Load code from the cache."""
    entry = cache.load(_KIND, key, environment.for_models(target))
    if entry is None:
        return None
    missing = unresolved(object_in(entry))
    if missing:
        _log.warning("code from the cache is not used: this process lacks %s", ", ".join(missing))
        return None
    return replace(code_of(entry, kernel_object(target), stages), key=key)


def one_compiles(key: str | None) -> AbstractContextManager[None]:
    """Let one process alone compile a model of this key in the `with`; others wait, and should look again."""
    if key is None:
        return nullcontext()
    return cache.one_maker(_KIND, key, lambda: announce("Waiting for another process, which compiles this model"))


def keep(key: str, code: Code, graph: ModelGraph) -> None:
    """Store fused code in the cache."""
    if not environment.is_current():
        _log.info("this model's code is not cached: nutmill's sources have changed since this process began")
        return
    cache.store(_KIND, key, environment.for_models(code.target), entry_of(code), about(graph))


def about(model: ModelGraph | Description) -> str:
    """Say in a few words which model an entry is of."""
    return first_names([parameter.rv_name for parameter in model.parameters])
