"""Bounds hold: no layout of a simulated machine is faster than what it can hardly beat."""

import math
from types import SimpleNamespace

import pytest
from layout.simulated import CORES, KINDS, seconds_per_unit

from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import candidates
from nutmill.layout.search.measurements import Ledger, Measurement, Timing, least_seconds, reference


def ledger_of(times):
    return Ledger(Measurement(layout, Timing(s, s), 0.1, "scan", 0, 0.0) for layout, s in times.items())


def test_what_was_measured_bounds_itself():
    ledger = ledger_of({Layout(1): 1.0, Layout(1, 4): 0.4, Layout(4): 1.2})
    assert least_seconds(Layout(1, 4), ledger) == pytest.approx(0.4)
    assert least_seconds(Layout(4), ledger) == pytest.approx(1.2)


def test_company_and_threads_multiply():
    ledger = ledger_of({Layout(1): 1.0, Layout(1, 4): 0.4, Layout(4): 1.5})
    assert least_seconds(Layout(4, 4), ledger) == pytest.approx(0.6)
    assert least_seconds(Layout(8), ledger) == pytest.approx(1.5)
    assert least_seconds(Layout(2, 4), ledger) == pytest.approx(0.4)


def test_between_and_beyond_numbers_of_threads():
    # On logarithmic axes: the lines 1-2, 2-8 and 8-16 go on above and below what they join.
    ledger = ledger_of({Layout(1): 1.0, Layout(1, 2): 0.8, Layout(1, 8): 0.6, Layout(1, 16): 0.6})
    assert least_seconds(Layout(1, 4), ledger) == pytest.approx(0.64)
    assert least_seconds(Layout(1, 6), ledger) == pytest.approx(0.6)
    assert least_seconds(Layout(1, 32), ledger) == pytest.approx(0.6)
    # With one point below, threads may help perfectly; the line between is never exceeded.
    ledger = ledger_of({Layout(1): 1.0, Layout(1, 4): 0.3})
    assert least_seconds(Layout(1, 2), ledger) == pytest.approx(0.5)
    assert least_seconds(Layout(1, 8), ledger) == pytest.approx(0.3 * 2.0 ** (math.log(0.3) / math.log(4.0)))


def test_a_minimum_between_two_numbers_is_not_ruled_out():
    ledger = ledger_of({Layout(1): 1.0, Layout(1, 2): 0.5, Layout(1, 4): 0.6, Layout(1, 8): 1.2})
    assert least_seconds(Layout(1, 3), ledger) == pytest.approx(0.45)


def test_vendors_do_not_bound_each_other():
    ledger = ledger_of({Layout(1): 1.0, Layout(4): 3.0, Layout(1, blas="mkl"): 0.8})
    assert least_seconds(Layout(4, blas="mkl"), ledger) == pytest.approx(0.8)
    assert reference(Layout(4, 2, "mkl")) == Layout(1, 1, "mkl")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_cores", CORES)
def test_bounds_hold_on_simulated_machines(kind, n_cores):
    layouts = candidates(SimpleNamespace(n_cores=n_cores), 16)
    true = {layout: seconds_per_unit(KINDS[kind], n_cores, layout) for layout in layouts}
    powers = {1, 2, 4, 8, 16, 32, 64, 128}
    scanned = [
        a for a in layouts if {a.chains_at_once, a.blas_threads} <= powers and 1 in {a.chains_at_once, a.blas_threads}
    ]
    ledger = ledger_of({layout: true[layout] for layout in scanned})
    for layout in layouts:
        assert least_seconds(layout, ledger) <= 1.02 * true[layout], layout
    assert 4 * len(scanned) < 3 * len(layouts)
