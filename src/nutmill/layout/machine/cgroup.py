"""Control groups, version 1 and 2: the CPU quota, the cpuset and the memory limit that hold for this process.

A group is bound by its own limits and by those of all groups above it, so each is read from the process's own
folder up to the mount. In a container the path in ``/proc/self/cgroup`` may be one of the host, which does not
exist below the mount: then the mount itself is the container's group.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from nutmill.layout.machine.system_files import Machine

_CONTROLLERS = frozenset({"cpu", "cpuset", "memory"})
_UNIFIED = ""  # version 2 has one tree for all controllers; /proc/self/cgroup leaves their names empty

_POSITIVE = re.compile("0*[1-9][0-9]{0,18}")

# Version 1 writes the largest number of pages where there is no limit.
_NO_MEMORY_LIMIT_BYTES = 1 << 60


class Limit(NamedTuple):
    """The tightest limit, and the file that holds it."""

    value: float
    source: str


class _Mount(NamedTuple):
    """One tree of groups: its controllers, which group is mounted, and where."""

    controllers: frozenset[str]
    root: str
    point: str


class _GroupLevel(NamedTuple):
    """The folder of a group, and the version of its files."""

    version: int
    folder: str


class Cgroups:
    """Where the groups of this process are."""

    def __init__(self, machine: Machine):
        self._machine = machine
        self._mounts = _mounts(machine) or _usual_mounts(machine)
        self._paths = _paths(machine)

    def quota(self) -> Limit | None:
        """Give the CPUs that the groups grant together; None where they set no limit."""
        return self._tightest("quota", "cpu", _quota_at)

    def memory_bytes(self) -> Limit | None:
        """Give the memory that the groups grant; None where they set no limit."""
        return self._tightest("memory limit", "memory", _memory_at)

    def cpuset(self) -> tuple[frozenset[int], str] | None:
        """Give the CPUs that the nearest group with a say allows, and the file that says so."""
        names = {1: ("cpuset.effective_cpus", "cpuset.cpus"), 2: ("cpuset.cpus.effective",)}
        for level in self._levels("cpuset"):
            for name in names[level.version]:
                path = f"{level.folder}/{name}"
                cpus = self._machine.cpus("cpuset", path)
                if cpus:
                    self._machine.note("cpuset", self._machine.text(path), path)
                    return cpus, path
        self._machine.note("cpuset", None, self._nothing("cpuset"))
        return None

    def _tightest(
        self, name: str, controller: str, at: Callable[[Machine, _GroupLevel], tuple[float | None, str]]
    ) -> Limit | None:
        limits = []
        for level in self._levels(controller):
            value, source = at(self._machine, level)
            if value is not None:
                limits.append(Limit(value, source))
        if not limits:
            self._machine.note(name, None, self._nothing(controller))
            return None
        tightest = min(limits, key=lambda limit: limit.value)
        self._machine.note(name, tightest.value, tightest.source)
        return tightest

    def _levels(self, controller: str) -> list[_GroupLevel]:
        """Give the process's groups for a controller, its own one first."""
        levels = []
        for version, key in ((1, controller), (2, _UNIFIED)):
            mounts = [mount for mount in self._mounts if key in mount.controllers]
            levels += [_GroupLevel(version, folder) for folder in self._folders(mounts, self._paths.get(key, "/"))]
        return levels

    def _folders(self, mounts: list[_Mount], path: str) -> list[str]:
        for mount in mounts:
            below = _below(path, mount.root)
            if self._machine.is_folder(mount.point + below):
                return _upwards(mount, below)
        return [mounts[0].point] if mounts else []

    def _nothing(self, controller: str) -> str:
        levels = self._levels(controller)
        return f"no limit in {levels[0].folder} or above" if levels else f"no cgroup for {controller} is mounted"


def _upwards(mount: _Mount, below: str) -> list[str]:
    parts = [part for part in below.split("/") if part]
    return [mount.point + "".join(f"/{part}" for part in parts[:n]) for n in range(len(parts), -1, -1)]


def _below(path: str, root: str) -> str:
    """Give the path of a group relative to what is mounted; empty where it lies elsewhere."""
    if ".." in path.split("/"):  # outside of this process's namespace
        return ""
    root = root.rstrip("/")
    return path[len(root) :].rstrip("/") if f"{path}/".startswith(f"{root}/") else ""


def _paths(machine: Machine) -> dict[str, str]:
    """Give the process's group for each controller."""
    paths = {}
    for line in (machine.text("/proc/self/cgroup") or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if path.startswith("/"):
            paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def _mounts(machine: Machine) -> list[_Mount]:
    mounts = []
    for line in (machine.text("/proc/self/mountinfo") or "").splitlines():
        place, kind = (words.split() for words in line.partition(" - ")[::2])
        if len(place) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        controllers = {_UNIFIED} if kind[0] == "cgroup2" else _CONTROLLERS & set(kind[2].split(","))
        mounts.append(_Mount(frozenset(controllers), _unescaped(place[3]), _unescaped(place[4])))
    return mounts


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def _usual_mounts(machine: Machine) -> list[_Mount]:
    """Look where the groups are mounted on all common systems, for machines that list no mounts."""
    base = "/sys/fs/cgroup"
    mounts = [
        _Mount(_CONTROLLERS & set(name.split(",")), "/", f"{base}/{name}")
        for name in machine.names(base)
        if _CONTROLLERS & set(name.split(",")) and machine.is_folder(f"{base}/{name}")
    ]
    point = f"{base}/unified" if machine.is_folder(f"{base}/unified") else base
    return [*mounts, _Mount(frozenset({_UNIFIED}), "/", point)] if machine.is_folder(point) else mounts


def _quota_at(machine: Machine, level: _GroupLevel) -> tuple[float | None, str]:
    if level.version == 1:
        path = f"{level.folder}/cpu.cfs_quota_us"
        quota_us = machine.number("quota", path)
        period_us = machine.number("quota", f"{level.folder}/cpu.cfs_period_us")
        if quota_us is None or period_us is None or quota_us < 0:  # -1: no limit
            return None, path
        words = [str(quota_us), str(period_us)]
    else:
        path = f"{level.folder}/cpu.max"
        words = (machine.text(path) or "max").split()
    if words[0] == "max":
        return None, path
    if len(words) != 2 or not all(_POSITIVE.fullmatch(word) for word in words):
        machine.damaged("quota", path, " ".join(words))
        return None, path
    return int(words[0]) / int(words[1]), path


def _memory_at(machine: Machine, level: _GroupLevel) -> tuple[int | None, str]:
    path = f"{level.folder}/{'memory.limit_in_bytes' if level.version == 1 else 'memory.max'}"
    if machine.text(path) == "max":
        return None, path
    limit = machine.number("memory limit", path)
    return (limit if limit is not None and 0 < limit < _NO_MEMORY_LIMIT_BYTES else None), path
