"""The load of others, read from recorded counters: /proc/stat, throttling of both cgroup versions, pressure."""

import pytest

from nutmill.layout.machine.topology import topology
from nutmill.layout.search.load import LoadCounters, LoadMeter

STAT = """cpu  9 9 9 9 9 9 9 9 9 9
cpu0 100 10 50 1000 20 1 2 7 40 0
cpu1 200 0 0 1000 0 0 0 0 0 0
cpu2 999 0 0 1000 0 0 0 0 0 0
intr 12345
"""
PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n"


def write(root, **files):
    for path, text in files.items():
        file = root / path.replace("__", "/").replace("DOT", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def between(own_s=0.0, wall_s=1.0, **changes):
    """Counters before and after; `changes` are what was added to those that exist."""
    before = LoadCounters(0.0, 0.0, *(0.0 if name in changes else None for name in LoadCounters._fields[2:]))
    return before, LoadCounters(wall_s, own_s, *(changes.get(name) for name in LoadCounters._fields[2:]))


def test_only_our_cpus_and_only_busy_time_count(tmp_path):
    meter = LoadMeter((0, 1), write(tmp_path, proc__stat=STAT))
    assert meter.read().busy_s == pytest.approx(1.70 + 2.00)  # guests are in user time, waiting for disks is idle


def test_version_2_of_this_process_group(tmp_path):
    root = write(tmp_path, proc__self__cgroup="0::/user/job\n", sys__fs__cgroup__user__job__cpuDOTstat="usage_usec 5\n")
    write(root, sys__fs__cgroup__cpuDOTstat="throttled_usec 99\n")
    assert LoadMeter((0,), root).read().throttled_s is None  # the group's own file has no such line
    write(root, sys__fs__cgroup__user__job__cpuDOTstat="nr_throttled 3\nthrottled_usec 1500000\n")
    write(root, sys__fs__cgroup__user__job__cpuDOTpressure=PRESSURE)
    read = LoadMeter((0,), root).read()
    assert (read.throttled_s, read.waiting_s) == pytest.approx((1.5, 2.5))


def test_version_1_in_a_container(tmp_path):
    root = write(tmp_path, proc__self__cgroup="4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n")
    write(
        root, sys__fs__cgroup__cpu__cpuDOTstat="nr_periods 1\nthrottled_time 2000000000\n", proc__pressure__cpu=PRESSURE
    )
    read = LoadMeter((0,), root).read()
    assert (read.throttled_s, read.waiting_s) == pytest.approx((2.0, 2.5))


def test_no_files_at_all(tmp_path):
    meter = LoadMeter((0,), tmp_path)
    read = meter.read()
    assert read[2:] == (None, None, None)
    assert meter.others(read, meter.read()) is None


def test_share_of_others(tmp_path):
    meter = LoadMeter((0, 1, 2, 3), tmp_path)
    assert meter.others(*between(own_s=2.0, busy_s=2.0)) == 0.0
    assert meter.others(*between(own_s=2.0, busy_s=3.0)) == pytest.approx((1.0 - 0.02) / 4.0)
    assert meter.others(*between(own_s=2.0, busy_s=2.01)) == 0.0  # no more than the counters' own error
    assert meter.others(*between(busy_s=100.0)) == 1.0


def test_what_a_quota_withholds_counts_as_well(tmp_path):
    meter = LoadMeter((0, 1), tmp_path)
    assert meter.others(*between(own_s=1.0, busy_s=1.0, throttled_s=0.5)) == pytest.approx(0.25)
    assert meter.others(*between(throttled_s=0.5)) == pytest.approx(0.25)


def test_pressure_where_there_is_nothing_better(tmp_path):
    meter = LoadMeter((0, 1), tmp_path)
    assert meter.others(*between(waiting_s=0.3)) == pytest.approx(0.3)
    assert meter.others(*between(own_s=1.0, busy_s=1.0, waiting_s=0.3)) == 0.0


def test_this_machine():
    meter = LoadMeter(topology().cpus)
    before = meter.read()
    sum(range(300_000))
    share = meter.others(before, meter.read())
    assert share is None or 0.0 <= share <= 1.0
