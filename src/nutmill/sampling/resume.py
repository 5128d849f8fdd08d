"""`resume`: goes on with the run in a folder."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import Any

from nutmill.checkpoint.folder import RunFolder, has_parts
from nutmill.checkpoint.manifest import read_manifest
from nutmill.errors import CheckpointError
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import topology as read_topology
from nutmill.run.checkpoints import SavedRun
from nutmill.sampling.kept_model import check_same, compiled_for, identity, without_missing
from nutmill.sampling.prepared_run import PreparedRun
from nutmill.sampling.request import request_from
from nutmill.sampling.running import sample_or_begin
from nutmill.sampling.steering import Snapshot


def resume(
    path: str | os.PathLike,
    model=None,
    *,
    draws: int | None = None,
    until: Mapping[str, float] | None = None,
    max_time: float | None = None,
    every: float = 60.0,
    cores: int | None = None,
    layout: Layout | str | os.PathLike | None = "auto",
    progressbar: bool = True,
    compute_convergence_checks: bool = True,
    executor: Executor | None = None,
    callback: Callable[[Snapshot], object] | None = None,
    blocking: bool = True,
) -> Any:
    """Go on with a run that was stopped or killed, or has ended, and give its result.

    The draws are those of a run that nothing has stopped, bit for bit, on the same kind of processor with the same
    number of BLAS threads, which the folder keeps. A run that has all its draws gives its result again.

    Parameters
    ----------
    path
        The folder that `checkpoint=` named.
    model
        The same model with the same data: compiled, or a `pm.Model`, which is compiled first. None takes what lies in
        the folder, which needs no PyMC.
    draws
        Draws of each chain, more or fewer than were asked for; None: as many as were. With `draws`, a limit `until`
        that was set before no longer holds.
    until
        Another limit than was set before; see `sample_numba`.
    max_time
        Seconds from now; a limit that was set before does not hold.
    every, cores, progressbar, compute_convergence_checks
        As in `sample_numba`; none of them matters to the draws.
    layout
        "auto" and None keep the BLAS library and the number of its threads that the run was begun with, and measure
        nothing. A `Layout`, or the path of a profile, with another number is taken as it is: then draws are as good as,
        but not the same as, those of a run that nothing has stopped, which log and result say.
    executor
        For a run that an executor has sampled; None: this process goes on with one group after the other.
    callback, blocking
        As in `sample_numba`.

    Returns
    -------
    As `sample_numba`.

    Raises
    ------
    CheckpointError
        If the folder holds no run, is in use, is damaged, or belongs to another model or version.
    ArgumentError, ModelError, SamplingError
        As `sample_numba`.
    """
    manifest = read_manifest(path)
    changes: dict[str, Any] = {} if draws is None else {"draws": draws, "until": None}
    changes |= {} if until is None else {"until": until}
    request = request_from(
        manifest["request"],
        **changes,
        max_time=max_time,
        every=every,
        cores=cores,
        layout=layout,
        progressbar=progressbar,
        compute_convergence_checks=compute_convergence_checks,
        executor=executor,
        callback=callback,
        blocking=blocking,
    )
    if executor is not None and not has_parts(manifest):
        raise CheckpointError(f"{path} was not sampled by an executor: resume it without one.")
    compiled = compiled_for(model, manifest, path)
    topology = read_topology()
    check_same(identity(compiled, topology.cpu_model), manifest, path)
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder.open(path, request.every))
        folder.manifest["request"] = request.as_json()
        request = without_missing(request, compiled)
        return sample_or_begin(PreparedRun(compiled, request, topology, SavedRun(folder)), stack)
