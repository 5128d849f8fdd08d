"""Progress: rows and times in, exact text out; the forms choose themselves, the process stays as it was."""

import io
import math
import os
import pty
import select
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from rich.console import Console

from nutmill.progress.chain_table import table
from nutmill.progress.lines import lines, sentence, whole, whole_sentence, with_rows
from nutmill.progress.show import (
    ChainProgress,
    LogProgress,
    NoProgress,
    TableProgress,
    open_progress,
)


def warming(chain=0, draw=40, **changes):
    """Give a row of an adaptive warmup."""
    row = ChainProgress(chain, "warmup", draw, None, 1000, step_size=0.25, n_gradients=600, divergences=2)
    return row._replace(**changes)


def sampling(chain=0, draw=250, **changes):
    """Give a row of a chain that samples."""
    total = changes.get("total", 1000)
    row = ChainProgress(chain, "sampling", draw, total, total, step_size=0.5, n_gradients=1750, divergences=0)
    return row._replace(**changes)


def text_of(drawn, width=120):
    """Print a table as a terminal without colours would."""
    console = Console(file=io.StringIO(), width=width)
    console.print(drawn)
    return [text.rstrip() for text in console.file.getvalue().splitlines()]


class HandClock:
    """A clock that a test turns."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def test_a_chain_of_which_fewer_draws_are_kept_keeps_its_speed():
    views = with_rows({}, [sampling(draw=800)], now_s=20.0, start_s=10.0)
    kept = sampling(draw=400, phase="done", total=400)
    for last in (kept, kept):
        views = with_rows(views, [last], now_s=30.0, start_s=10.0)
        (line,) = lines(views)
        assert (line.draw, line.total, line.draws_per_s) == (400, 400, 80.0)


def test_speed_is_measured_from_where_the_phase_began():
    views = with_rows({}, [warming()], now_s=12.0, start_s=10.0)
    assert lines(views)[0].draws_per_s == 20.0
    views = with_rows(views, [sampling()], now_s=17.0, start_s=10.0)
    assert lines(views)[0].draws_per_s == 50.0
    assert lines(views)[0].left_s == 15.0
    views = with_rows(views, [sampling(draw=500)], now_s=22.0, start_s=10.0)
    assert lines(views)[0].draws_per_s == 50.0


def test_the_clock_of_a_finished_chain_stands():
    done = sampling(phase="done", draw=1000)
    views = with_rows({}, [sampling()], now_s=5.0, start_s=0.0)
    views = with_rows(views, [done], now_s=20.0, start_s=0.0)
    assert lines(views)[0].draws_per_s == 50.0
    assert with_rows(views, [done], now_s=1000.0, start_s=0.0) == views


def test_rows_of_other_chains_stay():
    views = with_rows({}, [sampling(0), sampling(1)], now_s=1.0, start_s=0.0)
    views = with_rows(views, [sampling(1, draw=400)], now_s=2.0, start_s=0.0)
    assert [line.draw for line in lines(views)] == [250, 400]


def test_watch_does_not_change_what_it_was_given():
    views = with_rows({}, [sampling()], now_s=1.0, start_s=0.0)
    before = dict(views)
    with_rows(views, [sampling(draw=400)], now_s=2.0, start_s=0.0)
    assert views == before


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            warming(chain=3),
            "chain 3: warmup, 40/≤1000 draws, step size 0.25, 15 gradients/draw, 2 divergences, 20 draws/s, ≤48 s left",
        ),
        (
            sampling(divergences=1),
            "chain 0: sampling, 250/1000 draws, step size 0.5, 7 gradients/draw, 1 divergence, 125 draws/s, 6 s left",
        ),
        (
            sampling(phase="done", draw=1000, n_gradients=7000),
            "chain 0: done, 1000/1000 draws, step size 0.5, 7 gradients/draw, 0 divergences, 500 draws/s",
        ),
        (
            warming(draw=0, step_size=math.nan, n_gradients=0),
            "chain 0: warmup, 0/≤1000 draws, step size -, - gradients/draw, 2 divergences, 0 draws/s, ? left",
        ),
    ],
)
def test_a_chain_in_words(row, expected):
    (line,) = lines(with_rows({}, [row], now_s=2.0, start_s=0.0))
    assert sentence(line) == expected


def test_no_time_has_passed_yet():
    (line,) = lines(with_rows({}, [sampling()], now_s=0.0, start_s=0.0))
    assert math.isnan(line.draws_per_s) and math.isnan(line.left_s)


def test_the_table_to_the_letter():
    shown = lines(with_rows({}, [warming(1), sampling(0)], now_s=2.0, start_s=0.0))
    assert text_of(table(shown, 120)) == [
        "Chain  Phase                          Draws  Step size  Grads/draw  Diverged  Draws/s   Left",
        "0      sampling  ━━━━              250/1000        0.5           7         0      125    6 s",
        "1      warmup                      40/≤1000       0.25          15         2       20  ≤48 s",
    ]


def test_a_narrow_terminal_gets_every_figure():
    shown = lines(with_rows({}, [sampling(0)], now_s=2000.0, start_s=0.0))
    assert text_of(table(shown, 80), width=80) == [
        "Chain Phase       Draws Step size Grads/draw Diverged Draws/s       Left",
        "0     sampling 250/1000       0.5          7        0   0.125 1 h 40 min",
    ]


def test_many_chains_become_a_line_for_each_phase():
    rows = [sampling(chain, draw=100, divergences=1) for chain in range(16)]
    rows[3] = rows[3]._replace(draw=50)
    shown = lines(with_rows({}, [*rows, warming(16)], now_s=1.0, start_s=0.0))
    warm, samples = shown
    assert (warm.label, warm.phase, warm.draw, warm.limit) == ("1 chain", "warmup", 40, 1000)
    assert (samples.label, samples.draw, samples.total) == ("16 chains", 1550, 16000)
    assert (samples.divergences, samples.step_size) == (16, 0.5)
    assert samples.draws_per_s == 1550.0
    assert samples.left_s == 19.0  # of the slowest
    assert len(lines(with_rows({}, rows, now_s=1.0, start_s=0.0))) == 16


def test_a_table_is_painted_twice_a_second_and_at_the_end():
    painted, clock = [], HandClock()
    with TableProgress(nullcontext(painted.append), 120, "Do this.", clock) as progress:
        for step in range(10):
            clock.now_s = 100 + 0.125 * step
            progress.update([sampling(draw=100 * step + 100)])
    draws = [text_of(drawn)[1].split()[3] for drawn in painted]
    assert draws == ["100/1000", "500/1000", "900/1000", "1000/1000"]
    assert text_of(painted[1])[-1] == "1 chain: 500 of 1000 draws; 1 s so far, 1 s left. Do this."
    assert text_of(painted[3])[-1] == "1 chain: 1000 draws in 2 s."


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [warming(0), warming(1)],
            "2 chains in warmup, until they agree; 8 s so far",
        ),
        ([warming(0, total=300, limit=300)], "1 chain in warmup; 8 s so far"),
        (
            [warming(0), sampling(1), sampling(2)],
            "1 of 3 chains in warmup, until they agree; 8 s so far",
        ),
        ([sampling(0), sampling(1, draw=500)], "2 chains: 750 of 2000 draws; 8 s so far, 24 s left"),
        (
            [sampling(0, draw=1000, phase="done"), sampling(1, draw=500)],
            "2 chains: 1500 of 2000 draws; 8 s so far, 8 s left",
        ),
        ([sampling(0, draw=1000, phase="done")], "1 chain: 1000 draws in 8 s"),
    ],
)
def test_the_whole_run_in_words(rows, expected):
    assert whole_sentence(whole(with_rows({}, rows, now_s=8.0, start_s=0.0), 8.0)) == expected


def test_of_a_short_run_a_log_gets_one_line():
    stream, clock = io.StringIO(), HandClock()
    with LogProgress(stream, clock) as progress:
        clock.now_s = 100.4
        progress.update([sampling(0, draw=1000, phase="done"), sampling(1, draw=1000, phase="done")])
    assert stream.getvalue() == "2 chains: 2000 draws in 1 s\n"


def test_a_log_gets_lines_every_five_seconds_and_at_the_end():
    stream, clock = io.StringIO(), HandClock()
    with LogProgress(stream, clock) as progress:
        for step in range(1, 9):
            clock.now_s = 100.0 + step
            progress.update([sampling(0, draw=100 * step), sampling(1, draw=50)])
    written = [text.split(" draws")[0] for text in stream.getvalue().splitlines()]
    assert written == [
        "chain 0: sampling, 500/1000",
        "chain 1: sampling, 50/1000",
        "2 chains: 550 of 2000",
        "chain 0: sampling, 800/1000",
        "chain 1: sampling, 50/1000",
        "2 chains: 850 of 2000",
    ]


def test_the_log_of_a_long_run_has_a_line_a_minute():
    stream, clock = io.StringIO(), HandClock()
    with LogProgress(stream, clock) as progress:
        for seconds in range(0, 7200, 5):
            clock.now_s = 100.0 + seconds
            progress.update([sampling(draw=seconds, total=10_000)])
        of_chain = [text for text in stream.getvalue().splitlines() if text.startswith("chain 0")]
        written = len(of_chain)
        first_minute = [text for text in of_chain if int(text.split()[3].split("/")[0]) <= 60]
    assert len(first_minute) == 12
    assert 100 < written < 200


def test_a_log_does_not_repeat_a_finished_chain():
    stream, clock = io.StringIO(), HandClock()
    with LogProgress(stream, clock) as progress:
        for seconds in (5.0, 10.0, 15.0):
            clock.now_s = 100.0 + seconds
            progress.update([sampling(phase="done", draw=1000)])
    assert stream.getvalue().count("chain 0") == 1


def test_a_run_cut_short_still_shows_where_it_was():
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), LogProgress(stream) as progress:
        progress.update([sampling()])
        raise KeyboardInterrupt
    assert stream.getvalue().startswith("chain 0: sampling, 250/1000 draws")


def test_no_progressbar_writes_nothing(capfd):
    with open_progress(progressbar=False) as progress:
        assert isinstance(progress, NoProgress)
        progress.update([sampling()])
    assert capfd.readouterr() == ("", "")


def test_a_file_gets_lines(tmp_path: Path):
    path = tmp_path / "job.log"
    with path.open("w") as stream, open_progress(stream=stream) as progress:
        progress.update([sampling()])
    assert path.read_text().startswith("1 chain: 250 of 1000 draws; 1 s so far, ")


def test_a_terminal_gets_a_table_and_the_process_stays_as_it_was(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    reader, writer = pty.openpty()
    with open(writer, "w") as stream:
        before = sys.stdout, sys.stderr, threading.active_count()
        with open_progress(stream=stream) as progress:
            assert isinstance(progress.shown, TableProgress)
            progress.update([sampling()])
            assert (sys.stdout, sys.stderr, threading.active_count()) == before
        shown = ""
        while "\x1b[?25h" not in shown:  # the cursor is shown again; a terminal hands its output over in pieces
            assert select.select([reader], [], [], 10)[0], f"the cursor stays hidden: {shown!r}"
            shown += os.read(reader, 65536).decode(errors="ignore")
    os.close(reader)
    assert "\x1b[?25l" in shown and "250/1000" in shown


def test_a_dumb_terminal_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    reader, writer = pty.openpty()
    with open(writer, "w") as stream:
        assert isinstance(open_progress(stream=stream).shown, LogProgress)
    os.close(reader)
