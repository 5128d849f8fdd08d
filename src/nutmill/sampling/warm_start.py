"""Warm starts: the adaptation state of a result or of a run folder."""

import os

import numpy as np

from nutmill.errors import CheckpointError, ModelError
from nutmill.nuts.state import START
from nutmill.results import trace
from nutmill.run.adaptation import AdaptationState
from nutmill.run.checkpoints import read_groups
from nutmill.run.collect import adaptation_so_far
from nutmill.run.groups import chains_of


def adaptation_of(source) -> AdaptationState:
    """Take step sizes, metric and last positions of a run, for the `adaptation_state` of another one.

    Parameters
    ----------
    source
        A result of nutmill, also one that was stored and read again, or the folder of a run.

    Returns
    -------
    AdaptationState
        A row for each chain of that run.

    Raises
    ------
    ModelError
        If the result holds none.
    CheckpointError
        If the folder holds no run, or none that has started.
    """
    if isinstance(source, str | os.PathLike):
        return _of_folder(source)
    try:
        found = trace.group(source, "adaptation")
        arrays = {name: np.array(found[name].values) for name in AdaptationState._fields if name in found}
        n_chains, n_dim = arrays["position"].shape
        none = {"directions": np.zeros((n_chains, 0, n_dim)), "stretch": np.ones((n_chains, 0))}
        none |= {"centredness": np.zeros((n_chains, 0))}
        return AdaptationState(**none | arrays)
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError("There is no adaptation state in this: pass a result of nutmill, or a run folder.") from error


def _of_folder(path: str | os.PathLike) -> AdaptationState:
    groups = read_groups(path)
    if any(group.phase == START for group in groups):
        raise CheckpointError(f"The chains in {path} have not started: there is nothing to take from them yet.")
    # The draws as they were written: where chains are, in their own coordinates, has other last bits when moved back.
    draws = [group.store.read("draws", chain)[0] for group, chain in chains_of(groups)]
    return adaptation_so_far(groups, draws).trimmed()
