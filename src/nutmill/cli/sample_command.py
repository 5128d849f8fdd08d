"""`nutmill sample`: a run that a job script can start, stop and go on with."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nutmill.cli import model_file, options
from nutmill.cli.outcome import Wanted, finish
from nutmill.cli.run_folders import begun_run, how_to_go_on
from nutmill.cli.stopping import stoppable
from nutmill.nuts.group_size import GROUP_SIZE, whole_groups
from nutmill.units import ranges

_Chains = Annotated[int, typer.Option(min=1, help="Chains of the whole run.")]
_Checkpoint = Annotated[
    Path | None, typer.Option(file_okay=False, metavar="FOLDER", help="Keep draws and checkpoints in this folder.")
]
_Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in the folder of --checkpoint, if one has begun there.")
]
_KeepWarmup = Annotated[bool, typer.Option("--keep-warmup", help="Put the draws of warmup into the result as well.")]


def sample(
    model: options.Model,
    *,
    draws: options.Draws = 1000,
    tune: options.Tune = None,
    chains: _Chains = 4,
    chain_ids: options.ChainIds = None,
    seed: options.Seed = None,
    target_accept: options.TargetAccept = 0.8,
    max_treedepth: options.MaxTreedepth = 10,
    metric: options.Metric = options.MetricForm.AUTO,
    centring: options.Centring = options.CentringForm.AUTO,
    starts: options.Starts = options.StartsForm.JITTER,
    checkpoint: _Checkpoint = None,
    every: options.Every = None,
    resume: _Resume = False,
    max_time: options.MaxTime = None,
    until: options.Until = None,
    layout: options.LayoutSource = "auto",
    cores: options.Cores = None,
    data: options.Data = None,
    out: Annotated[Path | None, options.result_option("Default, without --checkpoint: model.nc for model.py.")] = None,
    keep_warmup: _KeepWarmup = False,
    json: options.Json = False,
    strict: options.Strict = False,
) -> None:
    """Sample a model. With a checkpoint, a run that is stopped or killed goes on where it was, to the same draws."""
    import nutmill

    _check(model, checkpoint, resume, chain_ids, chains)
    if out is None and checkpoint is None:
        out = options.own_file(Path(model.path.stem + ".nc"))
    arguments: dict[str, Any] = {
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "chain_ids": None if chain_ids is None else chain_ids.ids,
        "random_seed": seed,
        "target_accept": target_accept,
        "max_treedepth": max_treedepth,
        "metric": str(metric),
        "centring": str(centring),
        "starts": str(starts),
        "discard_tuned_samples": not keep_warmup,
        "until": until,
    }
    execution: dict[str, Any] = {
        "max_time": max_time,
        "cores": cores,
        "layout": None if layout == "none" else layout,
        "compute_convergence_checks": False,  # `finish` does
        **({} if every is None else {"every": every}),
    }
    wanted = Wanted(out, checkpoint, strict, json)
    with stoppable(None if checkpoint is None else lambda: how_to_go_on(checkpoint)):
        with contextlib.redirect_stdout(sys.stderr):
            wanted.check()
            begun = None if checkpoint is None else begun_run(checkpoint)
            if begun is not None:
                begun.check(arguments, resume=resume)
            compiled = model_file.compiled_model(model, data)
            if begun is None:
                result = nutmill.sample(compiled, **arguments, **execution, checkpoint=checkpoint)
            else:
                result = begun.go_on(compiled, arguments, execution)
        finish(result, wanted)


def _check(
    model: options.Model, checkpoint: Path | None, resume: bool, chain_ids: options.NamedChains | None, chains: int
) -> None:
    """Refuse options that have no meaning together, and a file of a model that is not there."""
    model_file.check_file(model.path)
    if resume and checkpoint is None:
        raise typer.BadParameter("--resume goes on with the run of --checkpoint: name its folder.")
    if chain_ids is None:
        return
    if chain_ids.ids[-1] >= chains:
        raise typer.BadParameter(
            f"--chain-ids names chain {chain_ids.ids[-1]}; the last of --chains {chains} is {chains - 1}."
        )
    if (wanted := whole_groups(chain_ids.ids, chains)) != chain_ids.ids:
        raise typer.BadParameter(
            f"--chain-ids names whole groups of {GROUP_SIZE} chains, which share their warmup: {ranges(wanted)} rather "
            f"than {ranges(chain_ids.ids)} (of --chains {chains})."
        )
