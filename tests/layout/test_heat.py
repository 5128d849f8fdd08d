"""The heat map: rates of the whole job in the right cells, in text and as PNG."""

import io
import struct
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from layout.simulated import Machine
from rich.console import Console

from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import Job
from nutmill.layout.search.findings import Sweep
from nutmill.layout.search.heat import draw, heat, text
from nutmill.layout.search.measurements import Interval, Measurement, Timing
from nutmill.layout.search.sweep import sweep

OTHER = Layout(2, 2, "mkl")
TIMES = {
    Layout(1): 0.01,
    Layout(1, 2): 0.008,
    Layout(2): 0.012,
    Layout(2, 2): 0.009,
    OTHER: 0.006,
    Layout(4): 0.02,
    Layout(4, 2): 0.1,
}


def made(best=OTHER):
    measurements = tuple(Measurement(layout, Timing(s, s), 0.1, "scan", 0, 1.0) for layout, s in TIMES.items())
    return Sweep(Job(4, 4), measurements, best, Layout(2, 2), Interval(1.5, 1.4, 1.6), "high", ())


def printed(table, **options):
    console = Console(width=100, record=True, file=io.StringIO(), **options)
    console.print(table)
    return console


def test_rates_are_those_of_the_whole_job():
    found = heat(made())
    assert found.chains_at_once.tolist() == [1, 2, 4]
    assert found.threads.tolist() == [1, 2] and found.kind == "BLAS threads"
    # 4 chains in 4, 2 or 1 waves; a panel for each library.
    of_scipy = [[1.0 / 0.01, 1.0 / 0.008], [2.0 / 0.012, 2.0 / 0.009], [4.0 / 0.02, 4.0 / 0.1]]
    of_mkl = [[np.nan, np.nan], [np.nan, 2.0 / 0.006], [np.nan, np.nan]]
    assert found.panels == ("SciPy's", "mkl")
    np.testing.assert_allclose(found.rate, [of_scipy, of_mkl])
    np.testing.assert_array_equal(found.is_oversubscribed, [[[False, False], [False, False], [False, True]]] * 2)
    assert found.chosen == (1, 1, 1)
    assert heat(made(best=Layout(2, 2))).chosen == (0, 1, 1)


def test_libraries_are_called_by_their_labels_and_paths_by_their_files():
    labels = {None: "openblas 0.3.30 (SciPy's)", "mkl": "mkl 2026.2"}
    assert heat(made(), labels).panels == ("openblas 0.3.30 (SciPy's)", "mkl 2026.2")
    at_a_path = {Layout(1): 0.01, Layout(1, blas="/opt/lib/libblis.so.4"): 0.02}
    assert _of(at_a_path).panels == ("SciPy's", "libblis.so.4")


def test_what_was_not_measured_is_nan():
    simulated = Machine(lambda layout: 0.001 * layout.chains_at_once**0.2)
    found = heat(sweep(None, SimpleNamespace(n_cores=64), chains=4, measure=simulated.measure, clock=simulated.clock))
    assert np.isnan(found.rate).any()
    assert not np.isnan(found.rate[found.chosen])


def test_text_has_a_row_and_a_column_for_each_count():
    console = printed(text(heat(made()), "laptop: GP, n = 200", "gradients"))
    shown = console.export_text()
    assert "laptop: GP, n = 200" in shown
    assert "▶333" in shown and shown.count("▶") == 1
    assert "40*" in shown and "*: more threads than cores" in shown
    assert "gradients per second of the whole job" in shown
    assert "2 chains x 2 BLAS threads (mkl); confidence: high" in " ".join(shown.split())
    assert shown.index("SciPy's: chains at once") < shown.index("mkl: chains at once") < shown.index("▶333")


def test_text_has_colours_that_differ():
    console = printed(text(heat(made())), force_terminal=True, color_system="truecolor")
    shown = console.export_text(styles=True)
    assert "48;2;254;232;56" in shown  # the best is yellow
    assert len({part.split("m")[0] for part in shown.split("48;2;")[1:]}) == len(TIMES)


def test_numbers_keep_three_digits():
    times = {Layout(1): 1e-7, Layout(2): 1e-3, Layout(4): 300.0}
    shown = printed(text(_of(times))).export_text()
    for number in ("10M", "2k", "0.0133"):
        assert number in shown


def _of(times):
    measurements = tuple(Measurement(layout, Timing(s, s), 0.1, "scan", 0, 1.0) for layout, s in times.items())
    return heat(Sweep(Job(4, 4), measurements, Layout(1), None, None, "low", ()))


def test_tile_threads_are_columns_where_blas_has_one_and_panels_elsewhere():
    found = _of({Layout(1): 0.1, Layout(1, tile_threads=2): 0.06, Layout(1, tile_threads=8): 0.05})
    assert found.kind == "tile threads" and found.threads.tolist() == [1, 2, 8] and found.panels == ("SciPy's",)
    np.testing.assert_allclose(found.rate, [[[10.0, 1 / 0.06, 20.0]]])
    assert found.is_oversubscribed.tolist() == [[[False, False, True]]]
    assert "tile threads" in printed(text(found)).export_text()
    found = _of({Layout(1): 0.1, Layout(1, 2): 0.08, Layout(1, 2, tile_threads=8): 0.05, Layout(1, blas="mkl"): 0.2})
    assert found.kind == "BLAS threads" and found.threads.tolist() == [1, 2]
    assert found.panels == ("SciPy's, 1 tile thread", "SciPy's, 8 tile threads", "mkl, 1 tile thread")
    assert found.is_oversubscribed[:, 0].tolist() == [[False, False], [True, True], [False, False]]


def test_png_is_a_picture_of_a_readable_size(tmp_path):
    path = tmp_path / "heat.png"
    draw(heat(made()), path, "laptop: GP, n = 200", "gradients")
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert width >= 600 and height >= 400


def test_a_long_title_stays_within_the_picture(tmp_path):
    """Nothing is drawn at the edges, which it would be if the title ran over them."""
    image = pytest.importorskip("matplotlib.image")
    place = "a_long_name_of_a_folder/and_one_below/models_of_the_paper/hierarchy.py:model on AMD EPYC 9554, 2 cores"
    draw(heat(made()), tmp_path / "heat.png", place)
    pixels = image.imread(tmp_path / "heat.png")[..., :3]
    assert pixels[:, :5].min() == pixels[:, -5:].min() == pixels[:5].min() == 1.0


def test_png_has_a_panel_for_each_library_on_one_scale(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    alone = {layout: seconds for layout, seconds in TIMES.items() if layout.blas is None}
    widths = {}
    for name, times in (("one", alone), ("two", TIMES)):
        draw(_of(times), tmp_path / f"{name}.png")
        widths[name] = image.imread(tmp_path / f"{name}.png").shape[1]
    assert widths["two"] > 1.2 * widths["one"]
    # The fastest of all is one cell of the panel on the right; the scale beside it has the colour too.
    yellow = np.array([254, 232, 56]) / 255.0
    pixels = image.imread(tmp_path / "two.png")[..., :3]
    columns = np.nonzero(np.abs(pixels - yellow).max(axis=-1) < 0.02)[1]
    assert np.median(columns) > 0.5 * widths["two"]


def test_png_of_one_cell(tmp_path):
    draw(_of({Layout(1): 0.1}), tmp_path / "heat.png")
    assert (tmp_path / "heat.png").stat().st_size > 1000


def test_png_marks_the_chosen_cell(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    crimson = np.array([220, 20, 60]) / 255.0
    centres = {}
    for best in (Layout(1), Layout(4)):
        draw(heat(made(best=best)), tmp_path / "heat.png")
        pixels = image.imread(tmp_path / "heat.png")[..., :3]
        rows, columns = np.nonzero(np.abs(pixels - crimson).max(axis=-1) < 0.02)
        centres[best] = rows.mean(), columns.mean()
    assert centres[Layout(1)][0] < centres[Layout(4)][0] - 50  # one chain is at the top, as in the terminal
    assert abs(centres[Layout(1)][1] - centres[Layout(4)][1]) < 5


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, nutmill.layout.search.heat; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
