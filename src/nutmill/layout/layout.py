"""A CPU layout: how many chains at once, BLAS threads for each, and where; applied in a `with` and read back."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from numbers import Integral
from typing import Literal, get_args

from nutmill.errors import LayoutError
from nutmill.layout.blas.find import BlasLibrary
from nutmill.layout.blas.of_workers import check_limits, libraries_of_workers, pin_private_pools
from nutmill.layout.blas.thread_limits import Limits, Wanted, limited
from nutmill.layout.machine.topology import Topology
from nutmill.layout.machine.topology import topology as read_topology
from nutmill.layout.pins import current_cpus, pin, unpin, unpinnable, unpinned
from nutmill.layout.places import places

__all__ = ["Applied", "Layout", "Mode", "Placement", "places"]

_log = logging.getLogger("nutmill")

Placement = Literal["free", "compact", "spread"]
Mode = Literal["threads", "own_pools"]


@dataclass(frozen=True)
class Layout:
    """How chains use CPUs.

    Parameters
    ----------
    chains_at_once : int
        Chains that run at the same time, each in a thread of its own; in that role they are called workers.
    blas_threads : int
        Threads that a BLAS call of one chain may use.
    placement : str
        ``"free"`` leaves it to the system where threads run. ``"compact"`` pins each worker to CPUs next to each
        other and fills one cache and one NUMA node after the other, ``"spread"`` deals workers over nodes and
        caches.
    mode : str
        ``"threads"``: chains share the BLAS library and so its one pool. ``"own_pools"``: each has a private copy
        of the library and so a pool of its own, which matters for OpenBLAS with more than one BLAS thread.
    blas : str, optional
        None for the library that SciPy brought; ``"openblas"``, ``"mkl"``, ``"blis"`` or a path for another.

    Raises
    ------
    LayoutError
        If a value is not one of these. Whether this machine can have the layout shows when it is applied.
    """

    chains_at_once: int
    blas_threads: int = 1
    placement: Placement = "free"
    mode: Mode = "threads"
    blas: str | None = None

    def __post_init__(self):
        for name in ("chains_at_once", "blas_threads"):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
                raise LayoutError(f"{name} must be a whole number, at least 1, not {value!r}.")
            object.__setattr__(self, name, int(value))  # NumPy's integers, which JSON does not take
        for name, known in (("placement", get_args(Placement)), ("mode", get_args(Mode))):
            if getattr(self, name) not in known:
                raise LayoutError(f"{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}.")
        if self.blas is not None and (not isinstance(self.blas, str) or not self.blas):
            raise LayoutError(f"blas must be None, a name or the path of a library, not {self.blas!r}.")

    @property
    def numerics(self) -> dict:
        """What of it the last bits of draws depend on, in a form that JSON can hold."""
        return {"library": self.blas, "threads": self.blas_threads}

    def as_dict(self) -> dict:
        """Give the fields in a form that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping) -> "Layout":
        """Make a layout of what `as_dict` gave; raises LayoutError with one sentence if it is not that."""
        known = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or "chains_at_once" not in values or not set(values) <= known:
            raise LayoutError(f"A layout has the keys {', '.join(sorted(known))}, not {values!r}.")
        return cls(**values)

    @contextmanager
    def applied(
        self,
        topology: Topology | None = None,
        while_waiting: Callable[[], object] | None = None,
        *,
        calls_blas: bool = True,
    ) -> Iterator["Applied"]:
        """Limit the thread pools of this process as the layout says, while in the `with`.

        Where other threads of this process have applied layouts with as many BLAS threads, all share the limits, and
        the last one to end brings back what was before the first. Where they have another number, this waits until
        they have ended, and the log says so.

        Enter it before chains start: threads that a pool starts inherit the CPUs of the thread that makes it grow.

        Parameters
        ----------
        topology : Topology, optional
            Where workers are pinned; by default this machine's, read only if they are.
        while_waiting : callable, optional
            Called four times a second while this waits; what it raises ends the wait.
        calls_blas : bool
            False: what chains compute calls no BLAS, so that any number of its threads will do. Then none is loaded
            that the layout does not name, this does not wait, nobody waits for it, and no note tells of limits.

        Raises
        ------
        LayoutError
            If the library is not there, or cannot have the `blas_threads` asked for where these are more than one.
            A limit to one thread that has no effect is a note.
        """
        # OpenBLAS starts its threads as soon as it is loaded, and each spins for 30 ms before it goes to sleep.
        libraries, notes = libraries_of_workers(self) if calls_blas or self.blas is not None else ((), [])
        has_copies = any(library.is_private for library in libraries)
        # Beside private copies the shared library serves whoever is not bound to a copy.
        wanted = Wanted(1 if has_copies else self.blas_threads, self.blas_threads, self.blas_threads)
        with ExitStack() as stack:
            with unpinned():
                cpus = _cpus(self, topology, notes)
                chosen = list(dict.fromkeys(libraries))
                limits = stack.enter_context(limited(wanted, chosen, while_waiting, calls_blas))
                notes += pin_private_pools(libraries, cpus)
            notes += check_limits(self, libraries, limits) if calls_blas else []
            applied = Applied(self, libraries, cpus, limits, notes)
            stack.callback(applied.end)
            yield applied


class Applied:
    """A layout that holds in this process: what `with layout.applied() as applied:` gives.

    Attributes
    ----------
    layout : Layout
    effective : dict
        What took effect beside what was asked, in a form that JSON can hold. ``asked``: the layout. ``blas``: the
        library that chains call, None if there is none. ``blas_threads``: those of each chain, as the library says;
        None if it does not. ``libraries``: each loaded pool, with ``threads_asked`` and
        ``threads``. ``placement``: whether workers get pinned, and the CPUs of each. ``workers``: by worker, once it
        has begun, the CPUs and BLAS threads of its thread. ``notes``.
    notes : list of str
        A sentence for everything that is not as asked; grows while workers begin.
    """

    def __init__(
        self,
        layout: Layout,
        libraries: Sequence[BlasLibrary],
        cpus: Sequence[tuple[int, ...]],
        limits: Limits,
        notes: list[str],
    ):
        self.layout = layout
        self.notes = notes
        self._libraries = libraries
        self._blas_threads = libraries[0].get_threads() if libraries else None  # a difference is noted already
        self.effective = {
            "asked": layout.as_dict(),
            "blas": libraries[0].as_dict() if libraries else None,
            "blas_threads": self._blas_threads if limits.are_needed else layout.blas_threads,
            "libraries": limits.read(),
            "placement": {"asked": layout.placement, "pinned": any(cpus), "cpus": [list(place) for place in cpus]},
            "workers": [None] * layout.chains_at_once,
            "notes": notes,
        }
        self._cpus = cpus
        self._limits = limits
        self._thread = threading.get_ident()
        self._cpus_before: frozenset[int] | None = None

    def enter_worker(self, worker: int) -> None:
        """Make the calling thread worker number `worker`: pin it, and set the limits that belong to a thread.

        Worker 0 to `chains_at_once` - 1. The thread is expected to end with the run; only the one that applied the
        layout gets its CPUs back.
        """
        library = self._libraries[self._checked(worker)] if self._libraries else None
        if self._cpus[worker]:
            self._pin(worker)
        self._limits.in_this_thread(library)
        threads = None if library is None else library.get_threads()
        self.effective["workers"][worker] = {"cpus": current_cpus(), "blas_threads": threads}
        if self._limits.are_needed and threads not in (None, self._blas_threads):
            self.notes.append(f"Worker {worker} has {threads} BLAS threads, not {self._blas_threads}.")

    def blas(self, worker: int) -> BlasLibrary:
        """Give the library that the compiled code of worker number `worker` should call.

        Raises
        ------
        LayoutError
            If there is no such worker, or no BLAS in this process.
        """
        self._checked(worker)
        if not self._libraries:
            raise LayoutError(self.notes[0])
        return self._libraries[worker]

    def end(self) -> None:
        """Note a number of threads that did not stay, and give the thread that applied the layout its CPUs back."""
        for library in dict.fromkeys(self._libraries) if self._limits.are_needed else ():
            if (threads := library.get_threads()) != self._blas_threads:
                self.notes.append(
                    f"Another part of the program has set {library.label} to {threads} BLAS threads meanwhile, not the "
                    f"{self._blas_threads} of the layout: draws may have other last bits than those of another run."
                )
                _log.warning(self.notes[-1])
        if self._cpus_before is not None:
            unpin(self._cpus_before)
            self._cpus_before = None

    def _checked(self, worker: int) -> int:
        if worker not in range(self.layout.chains_at_once):
            most = self.layout.chains_at_once - 1
            raise LayoutError(f"There is no worker {worker!r} in this layout: its workers are 0 to {most}.")
        return worker

    def _pin(self, worker: int) -> None:
        try:
            before = pin(self._cpus[worker])
        except OSError as error:
            cpus = ", ".join(map(str, self._cpus[worker]))
            self.notes.append(f"Worker {worker} runs unpinned: the system refused CPUs {cpus} ({error.strerror}).")
            return
        if threading.get_ident() == self._thread and self._cpus_before is None:
            self._cpus_before = before


def _cpus(layout: Layout, topology: Topology | None, notes: list[str]) -> Sequence[tuple[int, ...]]:
    """CPUs to which each worker is pinned, none where it is not."""
    nowhere = [()] * layout.chains_at_once
    if layout.placement == "free":
        return nowhere
    reason = unpinnable()
    if reason is None:
        topology = topology if topology is not None else read_topology()
        if topology.n_cores >= len(topology.cores):
            return places(layout, topology)
        # Another job of this node may hold the very CPUs that would be chosen.
        share = f"{topology.n_cores} of {len(topology.cores)} cores may be used ({topology.bound_by})"
        reason = f"{share}, and nothing says which"
    notes.append(f"Workers run unpinned: {reason}.")
    return nowhere
