"""Adds up what tests cost, in CPU seconds by folder and for the dearest ones: `python -m pytest --costs`."""

import os
from collections import Counter

import pytest

_NAME, _DEAREST = "CPU seconds", 20


def _cpu_seconds() -> float:
    """CPU seconds of this process, and of those that it started and waited for."""
    return sum(os.times()[:4])


class Costs:
    """A plugin of pytest; workers of pytest-xdist send what they measure with their reports."""

    def __init__(self):
        self._spent = 0.0
        self._of_test: Counter[str] = Counter()

    def pytest_collection_finish(self):
        """Begin to measure."""
        self._spent = _cpu_seconds()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self):
        """Note what a setup, a call or a teardown has cost."""
        report = yield
        before, self._spent = self._spent, _cpu_seconds()
        report.user_properties.append((_NAME, self._spent - before))
        return report

    def pytest_runtest_logreport(self, report):
        """Add it up."""
        self._of_test[report.nodeid] += dict(report.user_properties)[_NAME]

    def pytest_terminal_summary(self, terminalreporter):
        """Print the sums."""
        of_folder, count = Counter(), Counter(map(_folder, self._of_test))
        for test, seconds in self._of_test.items():
            of_folder[_folder(test)] += seconds
        terminalreporter.section("CPU seconds")
        for folder, seconds in of_folder.most_common():
            terminalreporter.line(f"{seconds:8.1f}  {folder} ({count[folder]} tests)")
        terminalreporter.line(f"{sum(of_folder.values()):8.1f}  in all; the dearest:")
        for test, seconds in self._of_test.most_common(_DEAREST):
            terminalreporter.line(f"{seconds:8.1f}  {test}")


def _folder(test: str) -> str:
    return os.path.dirname(test.partition("::")[0])
