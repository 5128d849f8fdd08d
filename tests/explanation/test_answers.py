"""What is said of made-up measurements."""

import json
from dataclasses import replace

import pytest
from explanation.made_up import MACHINE, MKL, SCIPYS, made_up

from nutmill.explanation.answers import advice, answers, as_text
from nutmill.explanation.blas_calls import BlasCall


def test_derived_figures_follow_from_what_was_measured():
    found = made_up()
    assert (found.n_dim, found.data_bytes, found.blas_flops) == (9, 4_000_000, 2_000_243.0)
    assert found.blas_share == pytest.approx(0.6)
    assert found.private_cache_bytes == 1_000_000  # the third one is shared by two cores
    assert found.least_s == pytest.approx(4e-4)  # of reading; the flops take 50 us
    assert made_up(data=[]).least_s == pytest.approx(2_000_243 / 4e10)


def test_answers_say_what_was_measured():
    said = {question: " ".join(sentences) for question, sentences in answers(made_up()).items()}
    runs, time, cores, blas, memory, elsewhere, _ = said.values()
    assert "has 32 operations. Rewriting leaves 9 in each gradient (fused loop x 3, LeanDot x 1, views" in runs
    assert "2 arrays and lengths that depend on data alone" in runs
    assert "They were lowered by nutmill's own LLVM IR, and linked into one object of 83 KiB" in runs
    assert "9 values of float64; its data is float64" in runs
    assert "take 1 ms with one BLAS thread" in time
    assert "60% of it is BLAS and LAPACK: dgemv(500, 1000) x 2 500 us (50%, 4 Gflop/s), dpotrf(9) 100 us" in time
    assert "it could not take less than 400 us" in time
    assert "2 cores may compute, all physical cores of the machine." in cores
    assert "With 2 BLAS threads a gradient takes 600 us: 1.67 times as fast on 2 times the cores" in cores
    assert blas == "SciPy's is the only one that was found here, so that nothing is compared."
    assert "at 4 GB/s, 40% of what one core here reads from memory." in memory
    assert "a gradient takes 500 us, which is 2.00 times as fast" in elsewhere
    assert "the log density at the start moves by 2e-05" in elsewhere
    assert "at about 5 us each, would need 20 us for a gradient" in elsewhere


def test_no_bound_is_told_that_the_gradient_was_faster_than():
    said = " ".join(sentence for sentences in answers(made_up(gradient_s=3e-4)).values() for sentence in sentences)
    assert "take 300 us with one BLAS thread" in said
    assert "could not take less" not in said


def test_what_is_not_known_is_not_said():
    bare = made_up(operations=None, calls=[], gradient_s_all_threads=None, data=[])
    said = as_text(bare)
    assert "None of it is BLAS" in said and "it has no data" in said and "GPU that starts" not in said
    unseen = made_up(calls=None, fused=False, gradient_s_all_threads=None)
    assert "cannot be seen through the pointer" in as_text(unseen)
    assert "Float32 was not measured" in as_text(made_up(gradient_s_single=None, logp_moves_by=None))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"python_ops": ("Lookup",)}, "Lookup runs in Python: write it"),
        ({"fused": False}, "keeps the model from being linked"),
        ({"gradient_s": 1e-5}, "too short for more BLAS threads"),
        ({"gradient_s_all_threads": 9.9e-4}, "2 BLAS threads do not help (1.01 times as fast)"),
        ({"gradient_s_all_threads": 7e-4}, "1.43 times as fast, chains at once use the cores better"),
        ({"gradient_s_all_threads": 5e-4}, "as well as chains do (2.00 times as fast)"),
        ({"gradient_s": 6e-4}, "Reading data bounds this model"),
        ({"gradient_s_all_threads": None}, "Nothing stands out"),
        ({"gradient_s_tile_threads": 5e-4}, "2 tile threads make a gradient 2.00 times as fast: where there are more"),
    ],
)
def test_advice_follows_from_where_the_time_goes(changed, said):
    assert any(said in sentence for sentence in advice(made_up(**changed)))


def test_tile_threads():
    said = as_text(made_up(gradient_s_tile_threads=8e-4, gradient_s_all_threads=None))
    assert "with 2 tile threads a gradient takes 800 us, 1.25 times as fast." in said
    assert "tile threads" not in as_text(made_up())
    assert not any("tile" in each for each in advice(made_up(gradient_s=1e-5, gradient_s_tile_threads=5e-6)))


def test_other_libraries_are_told_call_by_call():
    said = as_text(made_up(libraries=[SCIPYS, MKL]))
    assert "a gradient takes 1 ms with openblas 0.3 (SciPy's, code for Zen), 700 us with mkl 2026.2 (code for" in said
    assert "dgemv(500, 1000) x 2: 500 us with openblas 0.3, 250 us with mkl 2026.2." in said
    assert "mkl 2026.2 makes a gradient 1.43 times as fast as SciPy's BLAS: `nutmill tune` measures it" in said
    slower = MKL._replace(gradient_s=9.9e-4)
    assert "times as fast as SciPy's BLAS" not in as_text(made_up(libraries=[SCIPYS, slower]))
    assert "It calls none." in as_text(made_up(calls=[], gradient_s_all_threads=None))
    assert "runs through a pointer" in as_text(made_up(calls=None, fused=False, gradient_s_all_threads=None))


def test_mkl_is_worth_trying_on_intel_where_blas_counts():
    intel = replace(MACHINE, cpu_model="Intel(R) Xeon(R)")
    sentence = "60% of a gradient is BLAS, and MKL is not installed: on Intel's processors it is worth trying"
    assert sentence in as_text(made_up(machine=intel))
    for changed in (
        {"machine": MACHINE},
        {"machine": intel, "libraries": [SCIPYS, MKL._replace(gradient_s=1e-3)]},
        {"machine": intel, "gradient_s": 1e-5},
        {"machine": intel, "blas": "mkl 2026.2 (SciPy's)"},
        {"machine": intel, "calls": [BlasCall("dpotrf", (9,), 1, 1e-4, 243.0)]},
    ):
        assert "MKL is not installed" not in as_text(made_up(**changed))


def test_one_core_needs_no_advice_on_threads():
    machine = MACHINE.__class__(**{**vars(MACHINE), "n_cores": 1})
    found = made_up(machine=machine, gradient_s_all_threads=None)
    assert "1 core may compute," in as_text(found)


def test_all_of_it_is_json():
    document = json.loads(json.dumps(made_up(libraries=[SCIPYS, MKL]).as_dict()))
    assert document["libraries"][0]["calls"][0]["routine"] == "dgemv"
    assert document["calls"][0]["sizes"] == [500, 1000]
    assert document["operations"]["after"] == {"fused loop": 3, "LeanDot": 1, "views and lengths": 5}
    assert document["advice"] and document["machine"]["n_cores"] == 2
