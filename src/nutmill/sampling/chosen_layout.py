"""Finds the layout for a compiled model: a stored profile, else a sweep of its gradient, else one BLAS thread."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from nutmill.errors import LayoutError, ModelError
from nutmill.layout import profile as profiles
from nutmill.layout.applied import Applied, apply_layout
from nutmill.layout.blas.find import find_blas
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import Topology
from nutmill.layout.machine.topology import topology as read_topology
from nutmill.layout.profile import BlasKey, Profile
from nutmill.layout.search.candidates import Objective
from nutmill.layout.search.measuring import OnMeasure
from nutmill.layout.search.sweep import sweep
from nutmill.native.binding import Binding
from nutmill.native.compiled import CompiledModel

_log = logging.getLogger("nutmill")

# A run shorter than this is not tuned for: the search would cost more than it can save.
_WORTH_S = 60.0
# A gradient shorter than this has no BLAS call that more threads would shorten.
_LIGHT_S = 1e-4
# The search may take this share of the run that is expected.
_SHARE, _LONGEST_S = 0.05, 20.0
# What a run costs before anything is known of it: a tree of four doublings for each draw, and a usual warmup.
_GRADIENTS_A_DRAW, _WARMUP_DRAWS = 15, 200
_ROUGHLY = 3


class ChosenLayout(NamedTuple):
    """A layout, and where it comes from.

    Attributes
    ----------
    layout : Layout
    source : str
        "profile", "sweep", "asked", "kept" (as a run began) or "default".
    profile : Profile or None
        With every measurement, if there are any.
    path : Path or None
        File of the profile, if this search has kept one.
    notes : tuple of str
        Sentences.
    """

    layout: Layout
    source: str
    profile: Profile | None = None
    path: Path | None = None
    notes: tuple[str, ...] = ()


def find_layout(
    compiled: CompiledModel,
    *,
    chains: int = 4,
    topology: Topology | None = None,
    blas: Sequence[str | None] = (None,),
    objective: Objective = "wall",
    budget_s: float = 20.0,
    use_profile: bool = True,
    keep: bool = True,
    on_measure: OnMeasure | None = None,
) -> ChosenLayout:
    """Find the layout with which chains of a model take the least time on this machine.

    Parameters
    ----------
    compiled : CompiledModel
    chains : int
        Of the whole job.
    topology : Topology, optional
        By default this machine's.
    blas : sequence of str or None
        BLAS libraries to try: None is the one that SciPy brought, others as in `Layout`.
    objective : str
        "wall", or "core_hours" for those who pay for cores.
    budget_s : float
        Seconds that measuring may take.
    use_profile : bool
        Take the layout of a profile that fits, and was measured with high confidence, instead of measuring.
    keep : bool
        Keep what was measured as a profile.
    on_measure : callable, optional
        Called with each measurement.

    Returns
    -------
    ChosenLayout
        The layout is its field ``layout``; ``profile`` has every measurement, in seconds per gradient.

    Raises
    ------
    LayoutError
        If the budget is too small, or no layout can be measured.
    """
    topology = topology if topology is not None else read_topology()
    described = _describe(compiled, chains, topology)
    if use_profile and (stored := _stored(described)) is not None:
        return ChosenLayout(stored.layout, "profile", stored)
    try:
        measured = sweep(
            Gradients(compiled),
            topology,
            chains=chains,
            blas=blas,
            objective=objective,
            budget_s=budget_s,
            on_measure=on_measure,
        )
    finally:
        compiled.binding.release()
    made = Profile(described.machine, _in_a_line(topology), *described[1:], measured)
    return ChosenLayout(measured.best, "sweep", made, profiles.save(made) if keep else None, measured.notes)


def layout_for(
    compiled: CompiledModel,
    asked: str | os.PathLike | Layout | None,
    *,
    chains: int,
    draws: int,
    cores: int | None,
    topology: Topology,
    kept: Mapping[str, Any] | None = None,
) -> ChosenLayout:
    """Choose the layout of a run; the log says what was measured, and what changes the bits of draws.

    Parameters
    ----------
    compiled : CompiledModel
    asked : "auto", Layout, path of a profile, or None
        As in `sample_numba`.
    chains, draws : int
        Of the run.
    cores : int or None
        Chains at once, if the user says so.
    topology : Topology
    kept : mapping, optional
        `Layout.numerics` of a run that has begun: all but another layout that is asked for keeps them.

    Raises
    ------
    LayoutError
        If the profile cannot be used.
    ModelError
        If both a layout and cores are given.
    """
    if asked is not None and asked != "auto":
        if cores is not None:
            raise ModelError("Pass either layout= or cores=: a layout says how many chains run at once.")
        return _asked_for(asked, chains, kept)
    usual = _usual(chains, topology.n_cores if cores is None else cores, kept)
    may_choose = asked == "auto" and cores is None and topology.n_cores > 1 and compiled.code.native.blas_routines
    stored = _stored(_describe(compiled, chains, topology)) if may_choose else None
    if stored is not None and (kept is None or stored.layout.numerics == kept):
        return _told(ChosenLayout(_at_most(stored.layout, chains), "profile", stored))
    if kept is not None:
        return ChosenLayout(usual, "kept")
    if not may_choose:
        return ChosenLayout(usual, "default")
    gradient_s = _gradient_s(compiled, usual)
    waves = math.ceil(chains / usual.chains_at_once)
    expected_s = waves * (draws + _WARMUP_DRAWS) * _GRADIENTS_A_DRAW * gradient_s
    if gradient_s < _LIGHT_S or expected_s < _WORTH_S:
        return ChosenLayout(usual, "default")
    budget_s = min(_LONGEST_S, _SHARE * expected_s)
    try:
        return _told(find_layout(compiled, chains=chains, topology=topology, budget_s=budget_s, use_profile=False))
    except LayoutError as error:
        _log.info("no layout was searched for: %s", error)
        return ChosenLayout(usual, "default", notes=(str(error),))


def _asked_for(asked: str | os.PathLike | Layout, chains: int, kept: Mapping[str, Any] | None) -> ChosenLayout:
    """The layout that the user named."""
    if isinstance(asked, Layout):
        profile, chosen = None, asked
    else:
        profile = profiles.load(asked)
        chosen = profile.layout
    layout = _at_most(chosen, chains)
    notes: tuple[str, ...] = ()
    if profile is not None and profile.doubt is not None:
        notes = (f"{asked}: {profile.doubt}",)
    if kept is not None and layout.numerics != kept:
        notes += (
            f"The run was begun with {_numerics(kept)} and goes on with {_numerics(layout.numerics)}, as layout= says: "
            "draws from here on are as good as those of a run that nothing has stopped, but not the same.",
        )
    for note in notes:
        _log.warning("%s", note)
    return ChosenLayout(layout, "asked", profile, notes=notes)


def _usual(chains: int, n_cores: int, kept: Mapping[str, Any] | None) -> Layout:
    """As many chains at once as cores have room for."""
    if kept is None:
        return Layout(min(chains, n_cores))
    at_once = min(chains, max(1, n_cores // kept["threads"]))
    return Layout(at_once, kept["threads"], kept["library"])


def _told(found: ChosenLayout) -> ChosenLayout:
    """Log what "auto" has chosen by measurement, and note it for the result."""
    profile = cast(Profile, found.profile)  # which holds the measurements, made now or before
    when = "measured before this run" if found.source == "sweep" else f"stored as a profile on {profile.created}"
    sentence = f'layout="auto" took {found.layout}, {when} with {profile.sweep.confidence} confidence.'
    matters = found.layout.numerics != Layout(1).numerics
    if matters:
        sentence += (
            f" Draws are those of {_numerics(found.layout.numerics)}: a layout= with as many gives the same again, and "
            "another time another one may be measured as the fastest."
        )
    notes = (sentence, *found.notes)
    _log.log(logging.WARNING if matters and found.source == "sweep" else logging.INFO, "%s", " ".join(notes))
    return found._replace(notes=notes)


def _numerics(numerics: Mapping[str, Any]) -> str:
    count, library = numerics["threads"], numerics["library"]
    return f"{count} BLAS thread{'s' * (count > 1)} a chain{'' if library is None else f' of {library}'}"


def natives_for(compiled: CompiledModel, applied: Applied) -> list[Binding]:
    """Bind the model's code to the BLAS of a layout that is applied.

    Raises
    ------
    LayoutError
        If the model is called through a pointer, and so always calls the BLAS that SciPy brought.
    """
    if applied.layout.blas is None:
        return [compiled.binding]
    if not compiled.code.fused:
        raise LayoutError(
            "This model runs through a pointer, so its BLAS cannot be chosen: use a layout with blas=None."
        )
    if not compiled.code.native.blas_routines:
        return [compiled.binding]
    return [compiled.binding.with_blas(applied.blas.address)]


class Gradients:
    """The gradient of a model as a workload: `layout.burst.Bench` asks it for the code of each layout."""

    def __init__(self, compiled: CompiledModel):
        self._compiled = compiled
        self._start = compiled.starts(None, 1, 0, jitter=True)[0]
        compiled.binding.repeated(self._start)(1)  # loads and binds what a measurement should not pay for

    def __call__(self, worker: int, count: int) -> None:
        """Evaluate with the code that all layouts share."""
        self._compiled.binding.repeated(self._start)(count)

    def bound(self, applied: Applied) -> Callable[[int, int], int]:
        """Give each worker of a layout its own code and buffers."""
        (native,) = natives_for(self._compiled, applied)
        loops = [native.repeated(self._start) for _ in range(applied.layout.chains_at_once)]
        return lambda worker, count: loops[worker](count)


def stored_profile(compiled: CompiledModel, chains: int) -> Profile | None:
    """Look for the profile of a model on this machine; None where there is none that can be relied on."""
    return _stored(_describe(compiled, chains, read_topology()))


class _Described(NamedTuple):
    """What a profile is found by."""

    machine: str
    blas: BlasKey
    workload: str
    size_class: dict


def _describe(compiled: CompiledModel, chains: int, topology: Topology) -> _Described:
    library = find_blas(None)
    structure = hashlib.sha256(compiled.code.native.code).hexdigest()
    shapes = [list(value.shape) for value in compiled.description.values]
    sizes = json.dumps([structure, shapes, compiled.n_dim, chains])
    size_class = {
        "routines": sorted(compiled.code.native.blas_routines),
        "shapes": sorted(_rounded(shape) for shape in shapes if len(shape) > 0),
        "n_dim": _rounded([compiled.n_dim]),
        "chains": chains,
    }
    workload = hashlib.sha256(sizes.encode()).hexdigest()[:32]
    return _Described(topology.fingerprint(), BlasKey.of(library), workload, size_class)


def _stored(described: _Described) -> Profile | None:
    """The profile that fits, if it can be relied on: one of a busy machine holds for as long as that is busy."""
    found = profiles.find(*described)
    return found if found is not None and found.doubt is None else None


def _rounded(shape: Sequence[int]) -> list[int]:
    """Lengths to a factor of about 1.5, within which the same layout is right."""
    return [round(float(np.log(max(1, length)) / np.log(1.5))) for length in shape]


def _in_a_line(topology: Topology) -> str:
    return f"{topology.cpu_model}, {topology.n_cores} of {len(topology.cores)} cores to compute with"


def _at_most(layout: Layout, chains: int) -> Layout:
    """The layout without workers that would have nothing to do."""
    return Layout(**layout.as_dict() | {"chains_at_once": min(layout.chains_at_once, chains)})


def _gradient_s(compiled: CompiledModel, layout: Layout) -> float:
    """Seconds of one gradient of one chain, roughly."""
    with apply_layout(layout):
        evaluate = compiled.binding.repeated(compiled.starts(None, 1, 0, jitter=True)[0])
        evaluate(1)
        begin = time.perf_counter()
        evaluate(_ROUGHLY)
        seconds = (time.perf_counter() - begin) / _ROUGHLY
    compiled.binding.release()
    return seconds
