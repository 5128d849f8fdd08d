"""Finds the layout for a compiled model: a stored profile, else a sweep of its gradient, else one BLAS thread."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

from nutmill.errors import LayoutError, ModelError
from nutmill.layout import profile as profiles
from nutmill.layout.applied import apply_layout
from nutmill.layout.blas.identity import BlasElsewhere, libraries_to_try
from nutmill.layout.blas.library_files import places
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import Topology
from nutmill.layout.machine.topology import topology as read_topology
from nutmill.layout.profile import Profile
from nutmill.layout.search.candidates import Objective
from nutmill.layout.search.measuring import OnMeasure
from nutmill.layout.search.sweep import sweep
from nutmill.native.compiled import CompiledModel
from nutmill.sampling.layout_workload import Gradients
from nutmill.sampling.stored_profile import ProfileKey, profile_key, reliable_profile

_log = logging.getLogger("nutmill")

# A run shorter than this is not tuned for: the search would cost more than it can save.
_WORTH_S = 60.0
# A gradient shorter than this has no BLAS call and no tiles that more threads would shorten.
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
        "profile", "sweep", "requested", "kept" (as a run began) or "default".
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
    blas: Sequence[str | None] | None = None,
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
    blas : sequence of str or None, optional
        BLAS libraries to try: None is the one that SciPy brought, others as in `Layout`. By default all that are
        found, if the model calls any.
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
    key = profile_key(compiled, chains, topology)
    if use_profile and (stored := _stored_here(key, chains)[0]) is not None:
        return stored
    can_choose = compiled.code.fused and compiled.code.native.blas_routines
    libraries, left_out = libraries_to_try(blas if blas is not None or can_choose else (None,))
    try:
        measured = sweep(
            Gradients(compiled),
            topology,
            chains=chains,
            blas=tuple(library.blas for library in libraries),
            calls_blas=bool(compiled.code.calls_blas or not compiled.code.has_tiles),
            has_tiles=compiled.code.has_tiles,
            objective=objective,
            budget_s=budget_s,
            on_measure=on_measure,
        )
    finally:
        compiled.binding.release()
    made = Profile(
        key.machine,
        _machine_in_words(topology),
        *key[1:],
        measured,
        libraries=tuple(libraries),
        known_files=tuple(sorted(place.path for place in places())),
    )
    notes = (*left_out, *measured.notes)
    return ChosenLayout(measured.best, "sweep", made, profiles.save(made) if keep else None, notes)


def layout_for(
    compiled: CompiledModel,
    requested: str | os.PathLike | Layout | None,
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
    requested : "auto", Layout, path of a profile, or None
        As in `sample_numba`.
    chains, draws : int
        Of the run.
    cores : int or None
        Chains at once, if the user says so.
    kept : mapping, optional
        `Layout.numerics` of a run that has begun: it keeps them unless another layout is requested.

    Raises
    ------
    LayoutError
        If the profile cannot be used.
    ModelError
        If both a layout and cores are given.
    """
    notes: tuple[str, ...] = ()
    if requested is not None and requested != "auto":
        if cores is not None:
            raise ModelError("Pass either layout= or cores=: a layout says how many chains run at once.")
        try:
            return _named_by_user(requested, chains, kept)
        except BlasElsewhere as error:
            requested, notes = "auto", (_warn_of_other_library(requested, error),)
    size = _RunSize(chains, draws, topology)
    if cores is not None and min(cores, chains) > topology.n_cores:
        _log.warning("cores=%d, but this process may compute with %d: chains share them.", cores, topology.n_cores)
    usual = _default_layout(chains, topology.n_cores if cores is None else cores, kept)
    has_axes = compiled.code.native.blas_routines or (compiled.code.has_tiles and topology.n_cores > chains)
    may_choose = requested == "auto" and cores is None and has_axes
    stored, more = _stored_here(profile_key(compiled, chains, topology), chains) if may_choose else (None, ())
    notes += more
    if stored is not None and (kept is None or stored.layout.numerics == kept):
        found = stored._replace(notes=notes)
        # Where a library came since, it is measured too, but not for a short run.
        return _log_choice(_measured_if_long(compiled, size, found) if more and kept is None else found)
    if kept is not None or not may_choose:
        return ChosenLayout(usual, "default" if kept is None else "kept", notes=notes)
    found = _measured_if_long(compiled, size, ChosenLayout(usual, "default", notes=notes))
    return found if found.profile is None else _log_choice(found)


def with_measured_library(
    found: ChosenLayout, compiled: CompiledModel, chains: int, topology: Topology
) -> ChosenLayout:
    """Let a layout that was not requested take the BLAS library of a profile, with as many threads as before.

    `chains` are those of a task.
    """
    if not compiled.code.native.blas_routines:
        return found
    stored, notes = _stored_here(profile_key(compiled, chains, topology), chains)
    found = found._replace(notes=(*found.notes, *notes))
    if stored is None or stored.layout.blas is None:
        return found
    return _log_choice(found._replace(layout=replace(found.layout, blas=stored.layout.blas), profile=stored.profile))


class _RunSize(NamedTuple):
    """How much a run is to draw, and on what."""

    chains: int
    draws: int
    topology: Topology


def _measured_if_long(compiled: CompiledModel, size: _RunSize, known: ChosenLayout) -> ChosenLayout:
    """Search for a layout where a run is long enough to pay for it; else take the one that is known."""
    gradient_s = _gradient_s(compiled, known.layout)
    waves = math.ceil(size.chains / known.layout.chains_at_once)
    expected_s = waves * (size.draws + _WARMUP_DRAWS) * _GRADIENTS_A_DRAW * gradient_s
    if gradient_s < _LIGHT_S or expected_s < _WORTH_S:
        return known
    budget_s = min(_LONGEST_S, _SHARE * expected_s)
    try:
        found = find_layout(compiled, chains=size.chains, topology=size.topology, budget_s=budget_s, use_profile=False)
    except LayoutError as error:
        _log.info("no layout was searched for: %s", error)
        return known._replace(notes=(*known.notes, str(error)))
    return found._replace(notes=(*known.notes, *found.notes))


def _named_by_user(named: str | os.PathLike | Layout, chains: int, kept: Mapping[str, Any] | None) -> ChosenLayout:
    """The layout that `layout=` names, or that of the profile whose path it is."""
    if isinstance(named, Layout):
        profile, chosen = None, named
    else:
        profile = profiles.load(named)
        chosen = _with_library(profile)
    layout = _at_most(chosen, chains)
    notes: tuple[str, ...] = ()
    if profile is not None and profile.doubt is not None:
        notes = (f"{named}: {profile.doubt}",)
    if kept is not None and layout.numerics != kept:
        notes += (
            f"The run was begun with {_numerics(kept)} and goes on with {_numerics(layout.numerics)}, as layout= says: "
            "draws from here on are as good as those of a run that nothing has stopped, but not the same.",
        )
    for note in notes:
        _log.warning("%s", note)
    return ChosenLayout(layout, "requested", profile, notes=notes)


def _with_library(profile: Profile) -> Layout:
    """The layout of a profile, its library named as it is found here; raises BlasElsewhere if it is not."""
    known = profile.library
    return profile.layout if known is None else replace(profile.layout, blas=known.found_here())


def _warn_of_other_library(what: object, error: BlasElsewhere) -> str:
    """Log that a profile was measured with a library that is not here, and return the sentence."""
    sentence = f"{what} does not hold here: {error} Before a long run, layouts are measured anew."
    _log.warning("%s", sentence)
    return sentence


def _stored_here(key: ProfileKey, chains: int) -> tuple[ChosenLayout | None, tuple[str, ...]]:
    """The layout of the profile that fits and can be relied on, and a sentence on one that might have."""
    profile = reliable_profile(key)
    if profile is None:
        return None, ()
    try:
        layout = _with_library(profile)
    except BlasElsewhere as error:
        return None, (_warn_of_other_library(f"The layout profile of {profile.created}", error),)
    notes: tuple[str, ...] = ()
    if profile.known_files and (new := {place.path for place in places()} - set(profile.known_files)):
        notes = (
            f"{', '.join(sorted(new))} came after the layout was measured: `nutmill tune` measures "
            f"{'it' if len(new) == 1 else 'them'} too, if that can be used.",
        )
    return ChosenLayout(_at_most(layout, chains), "profile", profile), notes


def _default_layout(chains: int, n_cores: int, kept: Mapping[str, Any] | None) -> Layout:
    """As many chains at once as cores have room for."""
    if kept is None:
        return Layout(min(chains, n_cores))
    at_once = min(chains, max(1, n_cores // kept["threads"]))
    return Layout(at_once, kept["threads"], kept["library"])


def _log_choice(found: ChosenLayout) -> ChosenLayout:
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


def _machine_in_words(topology: Topology) -> str:
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
