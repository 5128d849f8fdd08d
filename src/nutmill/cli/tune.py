"""`nutmill tune`: measures which layout is fastest for a model on this machine, and says how to use it."""

import contextlib
import json as json_text
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from nutmill.cli import model_file, options
from nutmill.cli.console import print_json, stdout_console
from nutmill.errors import LayoutError

if TYPE_CHECKING:
    from nutmill.cli.tuned import Tuned


class Objective(StrEnum):
    """What is to be saved."""

    wall = "wall"
    core_hours = "core_hours"


class Options(NamedTuple):
    """What the user asked for."""

    place: model_file.ModelPlace
    chains: int
    budget_s: float
    blas: tuple[str, ...]
    objective: Objective
    png: Path | None
    profile: Path | None
    keep: bool


def _png(path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() != ".png":
        raise typer.BadParameter(f"the heat map is a picture in PNG: call it {path.with_suffix('.png').name}.")
    return options.in_a_folder(path)


_Blas = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Try this BLAS besides SciPy's, and no others: openblas, mkl, blis, a path, or scipy for SciPy's alone. "
        "May be repeated. By default all that are found.",
    ),
]
_File = {"dir_okay": False, "metavar": "FILE"}


def tune(
    model: options.Model,
    *,
    chains: Annotated[int, typer.Option(min=1, help="Chains of the whole job.")] = 4,
    budget: options.Budget = 20.0,
    blas: _Blas = None,
    objective: Annotated[
        Objective, typer.Option(help="Save the time of the job, or that time x its cores.")
    ] = Objective.wall,
    json: options.Json = False,
    png: Annotated[Path | None, typer.Option(help="Draw the heat map into this file.", callback=_png, **_File)] = None,
    profile: Annotated[
        Path | None, typer.Option(help="Write the profile to this file too.", callback=options.in_a_folder, **_File)
    ] = None,
    no_save: Annotated[
        bool, typer.Option("--no-save", help="Do not keep the profile where sample_numba looks for it.")
    ] = False,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Print lines for job scripts too, as is done within a job of Slurm.")
    ] = False,
) -> None:
    """Measure which layout (chains at once x BLAS threads x tile threads) is fastest for a model on this machine."""
    wanted = Options(model, chains, budget, tuple(blas or ()), objective, png, profile, not no_save)
    # What the model's file prints is not part of the document.
    with contextlib.redirect_stdout(sys.stderr):
        tuned = measure(wanted)
        write_files(tuned, wanted)
    if json:
        from nutmill.cli.tuned import as_dict

        print_json(as_dict(tuned))
    else:
        from nutmill.cli.tuned import print_tuned

        print_tuned(tuned, stdout_console(), for_jobs=slurm or tuned.topology.scheduler == "slurm")


def measure(options: Options) -> "Tuned":
    """Load, compile and sweep, with a line of progress on a terminal."""
    from nutmill.cli.console import open_progress

    _check_before(options)
    with open_progress(options.budget_s) as progress:
        progress.say(f"Loading {options.place.path}")
        model = model_file.load_model(options.place)
        progress.say(f"Compiling {options.place}")
        from nutmill.cli.tuned import Tuned
        from nutmill.layout.machine.topology import topology
        from nutmill.sampling.chosen_layout import find_layout

        compiled = model_file.as_compiled(model)
        machine = topology()
        progress.say("Measuring")
        found = find_layout(
            compiled,
            chains=options.chains,
            topology=machine,
            blas=(None, *options.blas) if options.blas else None,
            objective=options.objective.value,
            budget_s=options.budget_s,
            use_profile=False,
            keep=options.keep,
            on_measure=progress.measured,
        )
    if options.keep and found.path is None:
        sentence = "The profile could not be kept: name a file for it with --profile."
        found = found._replace(notes=(*found.notes, sentence))
    return Tuned(str(options.place), compiled.n_dim, machine, found, options.png, options.profile)


def _check_before(options: Options) -> None:
    """Raise what would only come out after the sweep otherwise."""
    from importlib.util import find_spec

    if options.png is not None and find_spec("matplotlib") is None:
        raise LayoutError("A PNG needs matplotlib: `pip install matplotlib`, or leave out --png.")
    if options.blas:
        from nutmill.layout.blas.find import find_blas

        for name in options.blas:
            find_blas(name)


def write_files(tuned: "Tuned", options: Options) -> None:
    """Write what the user named files for; raises LayoutError if one cannot be written."""
    try:
        if options.png is not None:
            from nutmill.layout.search.heat import draw, heat

            draw(heat(tuned.sweep, tuned.labels), options.png, tuned.title, "gradients")
        if options.profile is not None:
            options.profile.write_text(json_text.dumps(tuned.profile.as_dict(), indent=1))
    except OSError as error:
        raise LayoutError(f"{error.filename} cannot be written: {error.strerror}.") from error
