"""Parts of a run join to the one run, or are refused."""

import shutil

import pytest
from run_folders import OPTIONS, QUIET, compiled
from same_results import assert_same

import nutmill
from nutmill import CheckpointError, sample_numba
from nutmill.checkpoint.manifest import read_manifest, write_manifest
from nutmill.results.trace import group


@pytest.fixture(scope="module")
def reference():
    return sample_numba(compiled(), **OPTIONS)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    paths = [tmp_path_factory.mktemp("runs") / name for name in ("first", "second")]
    for path, chain_ids in zip(paths, (range(4), range(4, 8)), strict=True):
        sample_numba(compiled(), **OPTIONS, checkpoint=path, chain_ids=chain_ids)
    return paths


def test_parts_join_to_the_one_run(parts, reference):
    first, second = parts
    assert_same(nutmill.merge([second, first], compute_convergence_checks=False), reference)


def test_a_part_carries_its_chains(parts):
    part = nutmill.resume(parts[1], compiled(), **QUIET)
    assert group(part, "posterior")["chain"].values.tolist() == [4, 5, 6, 7]


def test_parts_that_do_not_belong_together_are_refused(parts, tmp_path):
    first, second = parts
    with pytest.raises(CheckpointError, match="Of 8 chains these are missing: 4, 5, 6, 7"):
        nutmill.merge([first], compiled())
    with pytest.raises(CheckpointError, match="Chain 4 is in"):
        nutmill.merge([first, second, copy(second, tmp_path / "twice")], compiled())
    with pytest.raises(CheckpointError, match="merge takes a list of run folders"):
        nutmill.merge(str(first), compiled())
    for number, (changes, sentence) in enumerate(
        [({"random_seed": 4}, "random_seed is 3 there and 4 here"), ({"tune": 50}, "tune is None there and 50 here")]
    ):
        sample_numba(compiled(), **OPTIONS | changes, checkpoint=tmp_path / str(number), chain_ids=range(4, 8))
        with pytest.raises(CheckpointError, match=sentence):
            nutmill.merge([first, tmp_path / str(number)], compiled())
    data = next(a for a in compiled().description.arrays if a.name == "y_data").value
    other = compiled().with_data(y_data=data + 1.0)
    sample_numba(other, **OPTIONS, checkpoint=tmp_path / "data", chain_ids=range(4, 8))
    with pytest.raises(CheckpointError, match=r"on other data \(y_data\)"):
        nutmill.merge([first, tmp_path / "data"], compiled())


def copy(path, name):
    return shutil.copytree(path, name)


def test_a_part_that_has_not_ended_is_refused_unless_partial(parts, tmp_path):
    path = tmp_path / "run"
    sample_numba(compiled(), **OPTIONS, checkpoint=path, chain_ids=range(4, 8))
    nutmill.resume(path, compiled(), draws=100_000_000, max_time=0.2, **QUIET)
    first, manifest = read_manifest(parts[0]), read_manifest(path)
    first["request"]["draws"] = first["settings"]["draws"] = 100_000_000
    assert manifest["request"] | {"chain_ids": 0} == first["request"] | {"chain_ids": 0}
    part = copy(parts[0], tmp_path / "part")
    write_manifest(part, first)
    with pytest.raises(CheckpointError, match=r"Chain 0 has 120 of 100000000 draws: resume"):
        nutmill.merge([part, path], compiled())
