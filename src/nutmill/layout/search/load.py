"""How much of the CPUs others took while something was measured: /proc/stat, cgroup throttling, CPU pressure."""

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

# /proc/stat counts in hundredths of a second on every Linux, whatever the kernel's own tick.
_TICK_S = 0.01
# user, nice, system, irq, softirq, steal: the fields of a line of /proc/stat that are not idle; guests are in user.
_BUSY_FIELDS = (0, 1, 2, 5, 6, 7)


class LoadCounters(NamedTuple):
    """Counters at one moment, in seconds; None where this system has no such counter."""

    wall_s: float
    own_s: float
    busy_s: float | None
    throttled_s: float | None
    waiting_s: float | None


class LoadMeter:
    """Reads counters before and after a measurement.

    `cpus` are those that this process may use: what others do elsewhere does not matter. With `root` ``/`` the machine
    is this one.
    """

    def __init__(self, cpus: Collection[int], root: str | Path = "/"):
        self._cpus = set(cpus)
        self._root = Path(root)
        self._cpu_stat = self._first_that_exists("cpu.stat", ("", "cpu", "cpu,cpuacct", "unified"))
        group_pressure = self._first_that_exists("cpu.pressure", ("", "unified"))
        self._pressure = group_pressure or self._root / "proc/pressure/cpu"

    def read(self) -> LoadCounters:
        """Read all counters."""
        return LoadCounters(
            time.perf_counter(), time.process_time(), self._busy_s(), self._throttled_s(), self._waiting_s()
        )

    def others(self, before: LoadCounters, after: LoadCounters) -> float | None:
        """Give the share of the CPU time that this process could not have, 0 to 1.

        What other processes used and the hypervisor stole, or what the cgroup's quota withheld if that is more;
        where neither can be read, the share of the time in which something waited for a CPU. None where nothing
        can be read.
        """
        elapsed_s = max(after.wall_s - before.wall_s, 1e-9)
        cpu_time_s = elapsed_s * max(1, len(self._cpus))
        shares = []
        if before.busy_s is not None and after.busy_s is not None:
            # Each CPU's counter is exact to a tick: what is less than their joint error is nothing.
            error_s = _TICK_S * len(self._cpus) ** 0.5
            shares.append((after.busy_s - before.busy_s - (after.own_s - before.own_s) - error_s) / cpu_time_s)
        if before.throttled_s is not None and after.throttled_s is not None:
            shares.append((after.throttled_s - before.throttled_s) / cpu_time_s)
        if not shares and before.waiting_s is not None and after.waiting_s is not None:
            shares.append((after.waiting_s - before.waiting_s) / elapsed_s)
        return min(max(0.0, *shares), 1.0) if shares else None

    def _busy_s(self) -> float | None:
        ticks = [_busy_ticks(line) for line in _lines(self._root / "proc/stat") if self._is_ours(line)]
        return sum(ticks) * _TICK_S if ticks else None

    def _is_ours(self, line: str) -> bool:
        number = line.split(" ", 1)[0].removeprefix("cpu")
        return line.startswith("cpu") and number.isdecimal() and int(number) in self._cpus

    def _throttled_s(self) -> float | None:
        values = dict(line.split() for line in _lines(self._cpu_stat) if len(line.split()) == 2)
        if "throttled_usec" in values:  # version 2
            return int(values["throttled_usec"]) * 1e-6
        return int(values["throttled_time"]) * 1e-9 if "throttled_time" in values else None

    def _waiting_s(self) -> float | None:
        for line in _lines(self._pressure):
            if line.startswith("some "):
                return int(line.rsplit("total=", 1)[1]) * 1e-6
        return None

    def _first_that_exists(self, name: str, controllers: Collection[str]) -> Path | None:
        """Find a file of this process's control group; in a container it may lie at the mount itself."""
        paths = {line.split(":", 2)[2] for line in _lines(self._root / "proc/self/cgroup") if line.count(":") >= 2}
        mounts = [self._root / "sys/fs/cgroup" / controller for controller in controllers]
        for group in (*sorted(paths, key=len, reverse=True), "/"):
            for mount in mounts:
                file = mount / group.lstrip("/") / name
                if file.is_file():
                    return file
        return None


def _busy_ticks(line: str) -> int:
    fields = line.split()[1:]
    return sum(int(fields[index]) for index in _BUSY_FIELDS if index < len(fields))


def _lines(path: str | os.PathLike | None) -> list[str]:
    """Lines of a file, none where it cannot be read: macOS and Windows have no such files."""
    try:
        return Path(path).read_text().splitlines() if path is not None else []
    except (OSError, UnicodeDecodeError):
        return []
