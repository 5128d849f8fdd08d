"""`sample_many`: one model fitted to many data sets, each by a run of its own, with one compile."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nutmill.errors import ArgumentError
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import topology
from nutmill.many.all_fits import Plan, ReportOfFits, layout_of_fits, rows_of
from nutmill.many.datasets import DataSet, count_of, data_sets
from nutmill.many.fitting import Fit, Fitter
from nutmill.many.keeping import Groups, TakesRows, check_ranks, keeper_of
from nutmill.many.pilot import chosen
from nutmill.many.room_for_rows import RoomForRows
from nutmill.many.same_call import DataDigest, facts_of_call
from nutmill.progress.stderr import say
from nutmill.sampling.request import Request, Seed, checked_request
from nutmill.sampling.sample import compiled_of, with_coordinates

if TYPE_CHECKING:
    import xarray as xr


# What of the arguments is not that of each fit.
_OF_ALL_FITS = ("model", "datasets", "by", "keep", "var_names", "on_error", "pilot", "to")


def sample_many(
    model: Any,
    datasets: Any,
    *,
    by: str | None = None,
    keep: str | Callable[[Fit], Mapping[str, Any]] = "summary",
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    cores: int | None = None,
    target_accept: float = 0.8,
    max_treedepth: int = 10,
    random_seed: Seed = None,
    initvals: Mapping | None = None,
    jitter: bool = True,
    starts: str = "jitter",
    metric: str = "auto",
    centring: str = "auto",
    var_names: Sequence[str] | None = None,
    on_error: str = "keep",
    pilot: int = 0,
    to: str | os.PathLike | None = None,
    checkpoint: str | os.PathLike | None = None,
    every: float = 10.0,
    executor: Executor | None = None,
    layout: Layout | None = None,
    progressbar: bool = True,
) -> xr.DataTree:
    """Fit one model to many data sets: it is compiled once, and each fit takes little more than its native code.

    Parameters
    ----------
    model
        A `pm.Model`, or a `CompiledModel`.
    datasets
        An iterable of mappings from names of `pm.Data` and observed variables to arrays, as `CompiledModel.with_data`
        takes them; or of pairs of a key and such a mapping; or a mapping from keys to such mappings. It is read as
        fits are made, so it may be larger than memory. Lengths may differ from one to the next. Or a table of pandas
        or polars, or an `xarray.Dataset`: see `by`.
    by
        The column of a table that says which data set a row belongs to; all others are data, by name. Of a Dataset
        the dimension of data sets.
    keep
        What is kept of each fit. "summary": mean, standard deviation, Monte Carlo error, 5 %, 50 % and 95 % quantile,
        R-hat and effective sample sizes of each value of each variable. "draws": the draws. A function: of a fit
        (`nutmill.many.fitting.Fit`, with ``draws``, ``statistics``, ``key`` and ``model``) to a mapping from names to
        numbers or arrays, called in several threads at once.
    draws, tune, chains, target_accept, max_treedepth, initvals, jitter, starts, metric, centring, var_names
        Of each fit, as in `sample_numba`.
    cores
        Fits at the same time; by default as many as there are cores to compute with. No result depends on it.
    random_seed
        As in `sample_numba`. A fit depends on it, its place among all and its own data: ``sample_numba(
        compiled.with_data(**data), random_seed=nutmill.fit_seed(seed, i))`` makes the draws of fit i.
    on_error
        "keep": a fit whose data do not fit the model, that finds no start, or whose chains have to stop becomes a row
        of NaN, whose ``problem`` says why; the others go on. "raise": the first of them ends all.
    pilot
        So many of the first data sets are first fitted in cheaper ways too: without directions in the metric, with a
        short warmup. All fits are then made in the cheapest way that did as well, which the attributes ``metric`` and
        ``tune`` of the result tell, and with which `sample_numba` makes the same draws. 0 makes them as they were
        asked for: then no fit depends on other data than its own.
    to
        A folder such as ``"fits.zarr"``, to which what is kept goes as fits are made, in place of memory: it may be
        larger, and ``xarray.open_datatree(path, engine="zarr", consolidated=False)`` reads what is there meanwhile.
        The whole has the attribute ``unfinished`` until the last fit, and may be begun anew as long; keys and other
        labels come at the end. The tree that is returned reads from there. Where it is finished, the same call on the
        same data sets gives it again; no other call replaces it, nor one whose ``keep`` is a function.
    checkpoint
        A folder, to which what is kept of the fits goes as they are made. The same call on the same data sets goes on
        there after a kill, and gives the same bytes as one that nothing happened to.
    every
        Seconds between two files in it, or between what is written `to` a folder; what a kill can cost.
    executor
        Makes the fits in its workers, one at a time in each, in place of threads of this process: a
        `ProcessPoolExecutor`, Dask's ``client.get_executor()``, any of `concurrent.futures`. Workers need nutmill but
        not PyMC. Draws are the same; only ``starts="prior"`` is not there, and starts that are hard to find are looked
        for by jitter alone. A function ``keep`` has to be one of a module, so that it can be sent.
    layout
        A `Layout` with one BLAS thread: as many fits at a time as it has chains at once, by its BLAS library, on which
        the last bits of draws depend. None: a fit for each core, by SciPy's. With an executor each worker makes one
        fit at a time.
    progressbar
        Say on stderr how far the fits are.

    Returns
    -------
    xarray.DataTree
        All arrays begin with the dimension ``dataset``. Group ``fits``: of each fit whether it ``failed``, what looks
        wrong (``problem``, empty for a clean one), ``divergences``, the worst R-hat and effective sample sizes, its
        ``seed``. Group ``summary`` with the dimension ``statistic``; or ``posterior`` and ``sample_stats``; or
        ``kept``. Where lengths differ, arrays are as long as the longest, filled up with NaN (whole numbers and truth
        values: 0), and ``fits`` has the length of each as ``n_`` and the dimension's name.

    Raises
    ------
    ArgumentError
        If an argument cannot be used.
    ModelError
        If the model cannot be used, names of data are wrong, keys come twice, reading data sets raises, or what is kept
        does not go into memory, or `to` a folder.
    SamplingError
        If a chain has to stop, with ``on_error="raise"``.
    CheckpointError
        If the folder is of another call or other data sets, or cannot be written.
    """
    given = dict(locals())
    request = checked_request(**{name: value for name, value in given.items() if name not in _OF_ALL_FITS})
    if on_error not in ("keep", "raise"):
        raise ArgumentError(f'on_error must be "keep" or "raise", not {on_error!r}.')
    if isinstance(pilot, bool) or not isinstance(pilot, Integral) or pilot < 0:
        raise ArgumentError(f"pilot must be a whole number of data sets, at least 0, not {pilot!r}.")
    keeper, sets, layout, target = keeper_of(keep), data_sets(datasets, by), layout_of_fits(request), _target(to)
    is_there = target is not None and _is_finished(target, request, keep)
    compiled = compiled_of(model, var_names=var_names, progressbar=progressbar)
    request = with_coordinates(request, compiled)
    plan = Plan(Fitter(compiled, request), keeper, on_error == "raise", layout)
    if pilot:
        plan, sets = _piloted(plan, sets, pilot)
    if target is not None and is_there:
        return _finished(target, plan, sets, keep)
    n_all = count_of(datasets, by)
    room = RoomForRows(topology().memory_bytes if target is None else None, n_all)
    report, attrs = ReportOfFits(progressbar, n_all), _attributes(plan.fitter.request)
    # These bring xarray, which takes as long to load as a hundred short fits.
    if target is None:
        from nutmill.many.gathered import Gathered, tree_of

        gathered = Gathered()
        _fit_all(plan, sets, keep, _Takers(gathered, report, room))
        return tree_of(gathered, compiled.description, attrs)
    from nutmill.many.zarr_rows import ZarrRows

    digest = DataDigest()
    with ZarrRows(target, compiled.description, attrs, request.every) as rows:
        facts = _fit_all(plan, digest.watch(sets), keep, _Takers(rows, report, room), with_facts=True)
        return rows.finish(facts, digest.hexdigest())


def _piloted(plan: Plan, sets: Iterator[DataSet], count: int) -> tuple[Plan, Iterator[DataSet]]:
    """Choose the way of the fits by the first data sets, and give these back before the others."""
    first = list(itertools.islice(sets, count))
    way = chosen(plan, first)
    return plan._replace(fitter=Fitter(plan.fitter.compiled, way)), itertools.chain(first, sets)


def _target(to: Any) -> Path | None:
    """Read where rows are to go; raises ArgumentError if that is no path."""
    if to is not None and not isinstance(to, str | os.PathLike):
        raise ArgumentError(f"to must be the path of a folder, such as 'fits.zarr', not {to!r}.")
    return None if to is None else Path(to)


def _is_finished(target: Path, request: Request, keep: str | Callable) -> bool:
    """Whether rows are there that may be those of this call; raises ModelError if none of its rows can go there.

    Those of a function never are: it may have been changed since.
    """
    from nutmill.many.zarr_rows import is_finished

    return is_finished(target, request.seed if isinstance(keep, str) else None)


def _finished(target: Path, plan: Plan, sets: Iterator[DataSet], keep: str | Callable) -> xr.DataTree:
    """Give what the same call has made before."""
    from nutmill.many.zarr_rows import finished_result

    first = next(sets)
    result = finished_result(target, facts_of_call(plan.fitter, first, keep), itertools.chain([first], sets))
    if plan.fitter.request.progressbar:
        say(f"{target} is finished already: nothing is fitted again.")
    return result


class _Takers(NamedTuple):
    """Who takes each row."""

    rows: TakesRows
    report: ReportOfFits
    room: RoomForRows


def _fit_all(
    plan: Plan, sets: Iterator[DataSet], keep: str | Callable, takers: _Takers, *, with_facts: bool = False
) -> dict[str, Any]:
    """Fit all data sets but those whose rows lie in the folder of the call already.

    Returns what rows depend on beside their data (`same_call.facts_of_call`) if there is a folder, or `with_facts`.
    """
    (rows, report, room), first = takers, next(sets)
    plan.fitter.expect(first)
    with ExitStack() as stack:
        folder, sets, request = None, itertools.chain([first], sets), plan.fitter.request
        facts = facts_of_call(plan.fitter, first, keep) if with_facts or request.checkpoint is not None else {}
        if request.checkpoint is not None:
            from nutmill.many.row_folder import RowFolder

            folder = stack.enter_context(RowFolder(request.checkpoint, facts, request.every))
            report.n_before = folder.restore(sets, rows)
        ranks: dict[str, int] = {}
        for data, row in _rows(plan, keep, sets):
            check_ranks(row, ranks, data.key)
            rows.add(data.key, row)
            report.take(row)
            room.take(row)
            if folder is not None:
                folder.keep(data, row)
        report.end()
    return facts


def _rows(plan: Plan, keep: str | Callable, sets: Iterator[DataSet]) -> Iterator[tuple[DataSet, Groups]]:
    """Fit in threads, or by the executor."""
    executor = plan.fitter.request.executor
    if executor is None:
        return rows_of(plan, sets)
    from nutmill.many.apart import rows_apart

    return rows_apart(plan, keep, sets, executor)


def _attributes(request: Request) -> dict[str, str | int | float]:
    return {
        "inference_library": "nutmill",
        "random_seed": str(request.seed),
        "draws": request.draws,
        "tune": "auto" if request.tune is None else request.tune,
        "metric": request.metric,
        "chains": request.chains,
        "target_accept": request.target_accept,
    }
