"""What a batch scheduler granted this process on this node: Slurm, PBS, LSF and SGE, by their variables.

Not every site binds its jobs to the CPUs that it grants them. Where the affinity says more than the grant, the
rest belongs to other people's jobs.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from nutmill.layout.machine.system_files import Machine

# Set by MPI launchers that are not the scheduler's own: how many processes they started on this node.
_SIDE_BY_SIDE = ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS")


class Grant(NamedTuple):
    """CPUs granted to this process; None where the scheduler is there but does not say."""

    scheduler: str
    cpus: int | None
    source: str


def grant(machine: Machine) -> Grant | None:
    """Find the scheduler that started this process and what it granted; None without a scheduler."""
    for scheduler, (marks, granted) in _SCHEDULERS.items():
        if any(mark in machine.environ for mark in marks):
            cpus, source = granted(machine) or (None, f"no variable of {scheduler} says how many")
            machine.note("scheduler", cpus, source)
            return Grant(scheduler, cpus, source)
    machine.note("scheduler", None, "no variables of Slurm, PBS, LSF or SGE")
    return None


_Granted = tuple[int | None, str] | None


def _slurm(machine: Machine) -> _Granted:
    per_task = _count(machine, "SLURM_CPUS_PER_TASK")
    if per_task is not None:
        return per_task, "SLURM_CPUS_PER_TASK"
    on_node = _count(machine, "SLURM_CPUS_ON_NODE")
    if on_node is None:
        return None
    n_tasks, source = _slurm_tasks(machine)
    if n_tasks == 1:
        return on_node, "SLURM_CPUS_ON_NODE"
    return max(1, on_node // n_tasks), f"SLURM_CPUS_ON_NODE={on_node} shared by {n_tasks} tasks, {source}"


def _slurm_tasks(machine: Machine) -> tuple[int, str]:
    """Say how many tasks share the node's CPUs with this one.

    A batch script has the node's whole share to itself, however many tasks its steps will start; it has no step
    id. A step's tasks share.
    """
    for name in _SIDE_BY_SIDE:
        if n_tasks := _count(machine, name):
            return n_tasks, name
    if "SLURM_STEP_ID" not in machine.environ:
        return 1, "no SLURM_STEP_ID"
    for name in ("SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"):
        per_node = _slurm_per_node(machine.environ.get(name, ""))
        if per_node:
            node = machine.environ.get("SLURM_NODEID", "0")
            place = int(node) if re.fullmatch("[0-9]{1,9}", node) else 0
            return per_node[min(place, len(per_node) - 1)], name
    return 1, "SLURM_STEP_ID"


def _slurm_per_node(text: str) -> list[int]:
    """Spell out ``2(x3),1`` as 2, 2, 2, 1; empty where it is something else."""
    counts = []
    for part in text.split(","):
        match = re.fullmatch(r"([1-9][0-9]{0,5})(?:\(x([1-9][0-9]{0,5})\))?", part.strip())
        if match is None:
            return []
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def _pbs(machine: Machine) -> _Granted:
    cpus = _count(machine, "NCPUS")
    if cpus is not None:
        return cpus, "NCPUS"
    path = machine.environ.get("PBS_NODEFILE")
    text = machine.text(path) if path else None
    if path and text is None:
        machine.note("scheduler", None, f"PBS_NODEFILE={path} cannot be read")
    # One line for each CPU (Torque) or process (PBS Pro), with the name of its host.
    lines = _on_this_host(machine, [line.split() for line in (text or "").splitlines() if line.strip()])
    return (len(lines), f"PBS_NODEFILE={path}") if lines else None


def _lsf(machine: Machine) -> _Granted:
    # LSB_DJOB_NUMPROC counts all hosts of the job: "node1 8 node2 8" tells which are here.
    words = machine.environ.get("LSB_MCPU_HOSTS", "").split()
    hosts = list(zip(words[::2], words[1::2], strict=False))
    if len(hosts) > 1:
        return _slots_here(machine, hosts, "LSB_MCPU_HOSTS")
    cpus = _count(machine, "LSB_DJOB_NUMPROC")
    return None if cpus is None else (cpus, "LSB_DJOB_NUMPROC")


def _sge(machine: Machine) -> _Granted:
    # NSLOTS counts all hosts of the job; lines "node1 8 queue ..." tell which are here.
    path = machine.environ.get("PE_HOSTFILE", "")
    hosts = [line.split()[:2] for line in (machine.text(path) or "").splitlines() if len(line.split()) > 1]
    if len(hosts) > 1:
        return _slots_here(machine, hosts, f"PE_HOSTFILE={path}")
    cpus = _count(machine, "NSLOTS")
    return None if cpus is None else (cpus, "NSLOTS")


def _slots_here(machine: Machine, hosts: list, source: str) -> _Granted:
    here = _on_this_host(machine, hosts)
    slots = [int(slots) for _, slots in here if re.fullmatch("[1-9][0-9]{0,5}", slots)]
    if slots:
        return sum(slots), source
    machine.note("scheduler", None, f"{source} does not name this host")
    return None


def _on_this_host(machine: Machine, entries: list) -> list:
    """Keep the entries whose first word is this host; all of them where they name one host only."""
    if len({entry[0] for entry in entries}) == 1:
        return entries
    here = (machine.text("/proc/sys/kernel/hostname") or "").split(".")[0]
    return [entry for entry in entries if entry[0].split(".")[0] == here]


def _count(machine: Machine, name: str) -> int | None:
    """Read a positive whole number from a variable; note what it holds instead."""
    text = machine.environ.get(name)
    if text is None:
        return None
    if re.fullmatch("0*[1-9][0-9]{0,5}", text.strip()):
        return int(text)
    machine.damaged("scheduler", name, text)
    return None


# Each scheduler's name, the variables that only its jobs have, and who reads its grant.
_SCHEDULERS: dict[str, tuple[tuple[str, ...], Callable[[Machine], _Granted]]] = {
    "slurm": (("SLURM_JOB_ID", "SLURM_JOBID"), _slurm),
    "pbs": (("PBS_JOBID",), _pbs),
    "lsf": (("LSB_JOBID", "LSB_DJOB_NUMPROC"), _lsf),
    "sge": (("NSLOTS",), _sge),
}
