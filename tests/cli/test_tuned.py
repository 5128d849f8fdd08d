"""What `nutmill tune` says of a sweep that is made up: every number in its place, as JSON and for people."""

import io
import json

import pytest
from cli.conftest import CHOSEN, SECONDS
from rich.console import Console

from nutmill.cli.tuned import as_dict, choice, print_tuned
from nutmill.layout.layout import Layout
from nutmill.layout.search.findings import Sweep
from nutmill.layout.search.measurements import Interval


def printed(tuned, width=140, for_jobs=True):
    file = io.StringIO()
    print_tuned(tuned, Console(file=file, width=width, highlight=False), for_jobs=for_jobs)
    return file.getvalue()


def cells(shown):
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]
    return [row for row in rows if len(row) in (7, 8) and row[1].isdigit()]


def with_sweep(tuned, **changes):
    sweep = Sweep(**{name: getattr(tuned.sweep, name) for name in Sweep.__dataclass_fields__} | changes)
    profile = type(tuned.found.profile)(
        **{name: getattr(tuned.found.profile, name) for name in tuned.found.profile.__dataclass_fields__}
        | {"sweep": sweep}
    )
    return tuned._replace(found=tuned.found._replace(profile=profile, layout=sweep.best))


def test_the_table_has_a_row_for_each_layout(made):
    rows = cells(printed(made))
    assert len(rows) == len(SECONDS)
    # 8 chains, two at once: four waves of 6 ms; the CPU time that was made up is twice the time.
    assert rows[0] == ["▶", "2", "2", "mkl", "6 ms", "12 ms", "24 ms", "333"]
    assert rows[-1][:3] == ["*", "4", "2"]
    assert [row[0] for row in rows].count("▶") == 1
    waves = {1: 8, 2: 4, 4: 2}
    for _, chains, _, _, one, _, each, per_s in rows:
        one_ms, each_ms = (float(text.removesuffix(" ms")) for text in (one, each))
        assert each_ms == pytest.approx(waves[int(chains)] * one_ms, rel=0.01)
        assert float(per_s) == pytest.approx(8000.0 / each_ms, rel=0.01)


def with_one_blas(tuned):
    own = tuple(one for one in tuned.sweep.measurements if one.layout.blas is None)
    return with_sweep(tuned, measurements=own, best=Layout(2, 2))


def test_a_blas_that_all_have_is_no_column(made):
    rows = cells(printed(with_one_blas(made)))
    assert rows[0] == ["▶", "2", "2", "9 ms", "18 ms", "36 ms", "222"]
    assert len(rows) == len(SECONDS) - 1


@pytest.mark.parametrize("reduced", [False, True])
def test_tables_fit_80_columns(made, reduced):
    """Each row is one line, no word is cut."""
    shown = printed(with_one_blas(made) if reduced else made, width=80)
    assert "…" not in shown and len(cells(shown)) == len(cells(printed(with_one_blas(made) if reduced else made)))
    table = shown[: shown.index("In Python")]
    assert max(map(len, table[table.index("┏") : table.rindex("┘")].splitlines())) <= 80


def test_lines_of_job_scripts_are_printed_where_they_are_of_use(made):
    shown = printed(made, for_jobs=False)
    assert "Slurm" not in shown and "OMP_NUM_THREADS" not in shown
    assert shown.endswith("layout=Layout(chains_at_once=2, blas_threads=2, blas='mkl'))\n")


def test_the_choice_says_what_it_gains_and_how_sure_it_is(made):
    assert choice(made) == [
        "Chosen: 2 chains x 2 BLAS threads (mkl); 8 chains in 4 waves, 6 ms per gradient of one chain, "
        "333 gradients/s of all.",
        "Next best: 2 chains x 2 BLAS threads, 1.50 times the time (1.40 to 1.60 in four cases of five).",
        "Confidence: high; others took 0 % of the CPUs meanwhile.",
    ]


def test_the_choice_by_core_hours(made):
    by_cores = with_sweep(made, job=made.sweep.job._replace(objective="core_hours"))
    assert "1.50 times the core hours" in choice(by_cores)[1]


def test_one_layout_has_no_next_best(made):
    alone = with_sweep(made, best=Layout(1), runner_up=None, margin=None, measurements=made.sweep.measurements[:1])
    lines = choice(alone)
    assert len(lines) == 2 and "8 chains in 8 waves" in lines[0]
    json.dumps(as_dict(alone))
    assert "▶" in printed(alone)


def test_all_of_the_text_is_printed(made):
    shown = printed(made)
    assert "gp.py:model on " in shown and f"{made.topology.n_cores} cores" in shown
    assert "gradients per second of the whole job" in shown and "▶333" in shown
    assert "Note: A note." in shown
    assert "Profile, which sample_numba finds by itself: /home/me/profiles/abc.json\n" in shown
    assert "Heat map: heat.png\n" in shown
    assert shown.endswith(
        "\n"
        "In Python:\n"
        "    from nutmill import Layout, sample_numba\n"
        "    sample_numba(model, chains=8, layout=Layout(chains_at_once=2, blas_threads=2, blas='mkl'))\n"
        "\n"
        "For other programs, before they start:\n"
        "    export OMP_NUM_THREADS=2\n"
        "    export OPENBLAS_NUM_THREADS=2\n"
        "    export MKL_NUM_THREADS=2\n"
        "    export BLIS_NUM_THREADS=2\n"
        "\n"
        "In a Slurm job:\n"
        "    #SBATCH --ntasks=1\n"
        "    #SBATCH --cpus-per-task=4\n"
        "    #SBATCH --hint=nomultithread\n"
        "    srun --cpus-per-task=$SLURM_CPUS_PER_TASK python run.py\n"
    )


def test_a_profile_that_is_not_taken_by_itself_is_not_said_to_be(made):
    unsure = with_sweep(made, confidence="low")
    shown = printed(unsure)
    assert "finds by itself" not in shown
    assert "Profile, which sample_numba takes only if layout= names it, because confidence is low" in shown
    assert as_dict(made)["is_found_by_itself"] and not as_dict(unsure)["is_found_by_itself"]


def test_lines_to_copy_are_never_wrapped(made):
    shown = printed(made, width=40)
    assert "    srun --cpus-per-task=$SLURM_CPUS_PER_TASK python run.py\n" in shown
    assert "layout=Layout(chains_at_once=2, blas_threads=2, blas='mkl'))\n" in shown


def test_brackets_in_names_are_no_markup(made):
    named = made._replace(model="[red]gp.py:model[/nothing]")
    assert "[red]gp.py:model[/nothing]" in printed(named)


def test_of_a_long_path_the_title_has_the_end(made):
    named = made._replace(model=f"{'folder/' * 12}gp.py:model")
    shown = named.title.partition(" on ")[0]
    assert shown.startswith("…") and shown.endswith("folder/gp.py:model") and len(shown) == 50
    assert as_dict(named)["model"] == named.model


def test_json_has_all_that_was_found(made):
    found = json.loads(json.dumps(as_dict(made)))
    assert Layout.from_dict(found["layout"]) == CHOSEN
    assert found["seconds_per_gradient"] == pytest.approx(0.006)
    assert found["gradients_per_s"] == pytest.approx(8 / 0.024)
    assert found["confidence"] == "high" and found["notes"] == ["A note."]
    assert (found["profile"], found["profile_file"], found["png"]) == ("/home/me/profiles/abc.json", None, "heat.png")
    assert found["environment"]["OMP_NUM_THREADS"] == "2"
    assert found["sbatch"][1] == "#SBATCH --cpus-per-task=4" and found["sbatch"][-1].startswith("srun ")
    assert found["machine"] == {"fingerprint": made.topology.fingerprint(), "description": "a laptop"}
    assert [row["layout"] for row in found["table"]] == [row.layout.as_dict() for row in made.sweep.table()]
    assert found["table"][0]["gradients_per_s"] == pytest.approx(found["gradients_per_s"])
    assert Sweep.from_dict(found["sweep"]).margin == Interval(1.5, 1.4, 1.6)
