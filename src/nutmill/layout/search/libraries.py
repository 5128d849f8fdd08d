"""The first stage of a search over several BLAS libraries: one chain and one thread each; slow ones are dropped."""

from collections.abc import Sequence

from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import Job
from nutmill.layout.search.measuring import Recorder

# A library this much slower with one thread is out where chains fill all cores: nothing is left for its threads.
_OUT = 1.10
# Where cores are left for threads, some libraries share them between chains far better than others.
_OUT_WITH_THREADS = 1.6
_ROUNDS_LEAST, _ROUNDS_MOST = 2, 4


def worthwhile(recorder: Recorder, families: Sequence[Layout], job: Job, burst_s: float) -> list[Layout]:
    """Measure one chain with one BLAS thread of each library in turn, and return those that may still win.

    Least CPU times are compared: with one thread that is the time of the work itself, whatever else the machine does.
    SciPy's library always stays, so that the gain of another is known for the whole job, and so does what the budget
    did not reach. `families` are layouts of one chain with one thread, one of each library.
    """
    alive = list(families)
    factor = _OUT if job.chains >= job.n_cores else _OUT_WITH_THREADS
    for n_rounds in range(1, _ROUNDS_MOST + 1):
        if len(alive) < 2:
            break
        for family in alive:
            recorder.take(family, "library", burst_s, n_rounds)
        if n_rounds >= _ROUNDS_LEAST:
            alive = _in_reach(alive, recorder, factor)
    return alive


def _in_reach(alive: Sequence[Layout], recorder: Recorder, factor: float) -> list[Layout]:
    least: dict[Layout, float] = {}
    for layout, timing, *_ in recorder.ledger.measurements:
        least[layout] = min(timing.cpu_seconds, least.get(layout, timing.cpu_seconds))
    most_s = factor * min((least[family] for family in alive if family in least), default=0.0)
    return [family for family in alive if family.blas is None or least.get(family, 0.0) <= most_s]
