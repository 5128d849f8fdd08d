"""docs/cluster.md, typed line by line: from a model to one result of 64 chains."""

import json
import re
from pathlib import Path

import pytest

from nutmill.results.storage import load

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
SHELL = [block for language, block in BLOCKS if language == "sh"]
MODEL, READING, DASK = (block for language, block in BLOCKS if language == "python")


def test_the_page_is_read_whole():
    assert PAGE.count("```") == 2 * len(BLOCKS)
    assert [block.split()[0] for block in SHELL] == [
        "nutmill",
        "srun",
        "nutmill",
        "bash",
        "nutmill",
        "nutmill",
        "nutmill",
    ]


@pytest.fixture
def typed(four_nodes, tmp_path):
    """Give a function that types a block in a shell, in a folder with the model."""
    (tmp_path / "model.py").write_text(MODEL)
    return lambda block: four_nodes.run("bash", "-ec", block, folder=tmp_path)


def test_from_the_model_to_the_result(typed, four_nodes, tmp_path, monkeypatch, capsys):
    compile_once, tune, write, submit, watch, look, _ = SHELL
    typed(compile_once)
    assert "Chosen: " in typed(tune) and (tmp_path / "layout.json").exists()
    assert "64 chains in 16 tasks of" in typed(write)
    array, merge = re.findall(r"[Jj]ob (\d+)", typed(submit))
    assert four_nodes.ended(array) == four_nodes.ended(merge) == {"COMPLETED"}
    assert len(re.findall(r"chain \d+: done 1000/1000", typed(watch))) == 64
    assert "64 chains x 1000 draws" in typed(look)
    assert load(tmp_path / "run" / "result.nc")["posterior"]["chain"].values.tolist() == list(range(64))
    monkeypatch.chdir(tmp_path)
    exec(compile(READING, "docs/cluster.md", "exec"), {})
    assert "xarray.DataArray 'mu'" in capsys.readouterr().out


def test_without_slurm(typed, tmp_path):
    typed(SHELL[0])
    assert "8 chains x 1000 draws" in typed(SHELL[-1])
    assert load(tmp_path / "eight.nc")["posterior"].sizes["chain"] == 8


def test_with_dask(typed, four_nodes, tmp_path, monkeypatch):
    typed(SHELL[0])
    # What a site says of itself in the configuration of Dask; sixteen workers would be many for this machine.
    for name, value in (("JOB_DIRECTIVES_SKIP", ["--mem"]), ("SCHEDULER_OPTIONS", {"host": "127.0.0.1"})):
        monkeypatch.setitem(four_nodes.environment, f"DASK_JOBQUEUE__SLURM__{name}", json.dumps(value))
    script = DASK.replace("jobs=16", "jobs=2") + "print(sorted(result.posterior.sizes.items()))\n"
    (tmp_path / "page.py").write_text(script)
    assert "('chain', 64), ('draw', 1000)" in typed("python page.py")
    assert len(re.findall(r"chain \d+: done 1000/1000", typed(SHELL[4]))) == 64
