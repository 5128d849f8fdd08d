"""Joins the parts of a run whose chains were sampled apart, in folders of their own."""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nutmill.checkpoint.manifest import read_manifest
from nutmill.errors import CheckpointError, path_of
from nutmill.layout.machine.topology import topology as read_topology
from nutmill.progress.status import read_status
from nutmill.run.checkpoints import read_groups
from nutmill.run.collect import collect
from nutmill.run.ending import UNTIL
from nutmill.run.groups import Group, chains_of
from nutmill.run.run import Clock, Ending
from nutmill.sampling.kept_model import check_same, compiled_for, identity, without_missing
from nutmill.sampling.numerics import notes_on
from nutmill.sampling.request import Request, request_from
from nutmill.sampling.session import finish

_log = logging.getLogger("nutmill")


def merge(
    folders: Sequence[str | os.PathLike],
    model=None,
    *,
    partial: bool = False,
    compute_convergence_checks: bool = True,
) -> Any:
    """Join run folders with different `chain_ids` of one run into one result.

    It equals the result of a run of all chains, bit for bit, if all parts were sampled on the same kind of processor
    with the same number of BLAS threads a chain; where that number differs, log and result say so.

    Parameters
    ----------
    folders
        In any order; together they must hold every chain of the run once, with all its draws: of a run that `until`
        has ended those that it kept.
    model
        The same model with the same data, compiled or a `pm.Model`; None takes what lies in the first folder.
    partial
        Take what there is: the chains of these folders, with the draws that all of them have, also of runs that go on.
        Where something is missing, the attribute ``interrupted`` is 1 and ``stopped_by`` is "partial".
    compute_convergence_checks
        Say what looks wrong in the draws.

    Returns
    -------
    As `sample_numba`.

    Raises
    ------
    CheckpointError
        If parts belong to different models, data, seeds or settings, if chains overlap, or if a folder is damaged;
        unless `partial`, if chains are missing (they are listed) or have not all their draws yet.
    """
    if isinstance(folders, str | os.PathLike) or not folders:
        raise CheckpointError("merge takes a list of run folders, one for each part.")
    manifests = {path_of(folder, "each of folders", "a run's folder"): read_manifest(folder) for folder in folders}
    (first, reference), *others = manifests.items()
    for folder, manifest in others:
        _check_settings(reference, manifest, first, folder)
        check_same(manifest, reference, first)
    _check_chains(manifests)
    groups = [group for folder in manifests for group in read_groups(folder)]
    groups.sort(key=lambda group: group.chain_ids[0])
    how = {"chain_ids": None, "until": None, "progressbar": False}
    request = request_from(reference["request"], compute_convergence_checks=compute_convergence_checks, **how)
    n_enough = _n_enough(manifests, groups)
    missing = None if n_enough is not None else _what_is_missing(groups, request)
    if missing is not None and not partial:
        raise CheckpointError(missing)
    compiled = compiled_for(model, reference, first)
    topology = read_topology()
    check_same(identity(compiled, topology.cpu_model), reference, first)
    clock = Clock()
    clock.resume(max((group.files.facts.get("walls_s", (0.0, 0.0)) for group in groups), key=sum))
    clock.stop(is_sampling=True)
    ending = Ending(None if missing is None else "partial") if n_enough is None else Ending(UNTIL, n_enough)
    run = collect(groups, request.settings, ending, clock)
    layout = {"source": "merged", "requested": {"chains_at_once": topology.n_cores}, **_numerics(manifests)}
    return finish(compiled, run, without_missing(request, compiled), layout)


def _numerics(manifests: Mapping[Path, Mapping[str, Any]]) -> dict[str, Any]:
    """With how many BLAS threads chains were sampled, and a note if not with the same."""
    used: list[Mapping[str, Any]] = []
    for manifest in manifests.values():
        used += [numerics for numerics in manifest.get("blas", []) if numerics not in used]
    notes = notes_on(used)
    for note in notes:
        _log.warning("%s It is not the result, bit for bit, of a run of all chains.", note)
    return {"blas_threads": used[0]["threads"] if len(used) == 1 else None, "notes": notes}


def _check_settings(reference: Mapping[str, Any], manifest: Mapping[str, Any], first: Path, folder: Path) -> None:
    """Refuse parts that were not asked for the same."""
    mine, other = dict(reference["request"]), dict(manifest["request"])
    for settings in (mine, other):
        settings.pop("chain_ids")
    different = [name for name in mine if mine[name] != other.get(name)]
    if different:
        name = different[0]
        raise CheckpointError(
            f"{first} and {folder} are not parts of one run: {name} is {mine[name]} there and {other.get(name)} here."
        )


def _check_chains(manifests: Mapping[Path, Mapping[str, Any]]) -> None:
    """Refuse chains that are there twice."""
    owners: dict[int, Path] = {}
    for folder, manifest in manifests.items():
        for chain_id in manifest["chain_ids"]:
            if chain_id in owners:
                raise CheckpointError(f"Chain {chain_id} is in {owners[chain_id]} and in {folder}: leave one out.")
            owners[chain_id] = folder


def _n_enough(folders: Iterable[Path], groups: Sequence[Group]) -> int | None:
    """How many draws a run has kept because they were good enough: chains may have made more. Others: None.

    It has all of its chains in one folder, because they were judged together.
    """
    folder, *others = folders
    known = None if others else read_status(folder)
    if known is None or known["stopped_by"] != UNTIL:
        return None
    return known["draws"] if known["draws"] <= min(group.n_drawn(chain) for group, chain in chains_of(groups)) else None


def _what_is_missing(groups: Sequence[Group], request: Request) -> str | None:
    """Say which chains are not there at all, or have not all their draws; None if all is there."""
    found = {chain_id for group in groups for chain_id in group.chain_ids}
    missing = sorted(set(range(request.chains)) - found)
    if missing:
        return f"Of {request.chains} chains these are missing: {', '.join(map(str, missing))}."
    for group in groups:
        for chain, chain_id in enumerate(group.chain_ids):
            if (n_drawn := group.n_drawn(chain)) < request.draws:
                drawn = f"Chain {chain_id} has {n_drawn} of {request.draws} draws"
                return f"{drawn}: resume {group.files.folder}, and merge then."
    return None
