"""Parts of a run join to the one run, or are refused."""

import json

import pytest
from results import assert_same
from run_folders import OPTIONS, QUIET, compiled

import nutmill
from nutmill import CheckpointError
from nutmill.trace import group


@pytest.fixture(scope="module")
def reference():
    return compiled().sample(**OPTIONS)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    paths = [tmp_path_factory.mktemp("runs") / name for name in ("first", "second")]
    for path, chain_ids in zip(paths, (range(4), range(4, 8)), strict=True):
        compiled().sample(**OPTIONS, checkpoint=path, chain_ids=chain_ids)
    return paths


def test_parts_join_to_the_one_run(parts, reference):
    first, second = parts
    assert_same(nutmill.merge([second, first], compute_convergence_checks=False), reference)


def test_a_part_carries_its_chains(parts):
    part = nutmill.resume(parts[1], compiled(), **QUIET)
    assert group(part, "posterior")["chain"].values.tolist() == [4, 5, 6, 7]


def test_parts_that_do_not_belong_together(parts, tmp_path):
    first, second = parts
    with pytest.raises(CheckpointError, match="Of 8 chains these are missing: 4, 5, 6, 7"):
        nutmill.merge([first], compiled())
    with pytest.raises(CheckpointError, match="Chain 4 is in"):
        nutmill.merge([first, second, link(second, tmp_path / "twice")], compiled())
    with pytest.raises(CheckpointError, match="merge takes a list of run folders"):
        nutmill.merge(str(first), compiled())
    for number, (changes, sentence) in enumerate(
        [({"random_seed": 4}, "random_seed is 3 there and 4 here"), ({"tune": 50}, "tune is None there and 50 here")]
    ):
        compiled().sample(**OPTIONS | changes, checkpoint=tmp_path / str(number), chain_ids=range(4, 8))
        with pytest.raises(CheckpointError, match=sentence):
            nutmill.merge([first, tmp_path / str(number)], compiled())
    data = next(a for a in compiled().description.arrays if a.name == "y_data").value
    other = compiled().with_data(y_data=data + 1.0)
    other.sample(**OPTIONS, checkpoint=tmp_path / "data", chain_ids=range(4, 8))
    with pytest.raises(CheckpointError, match=r"on other data \(y_data\)"):
        nutmill.merge([first, tmp_path / "data"], compiled())


def link(path, name):
    name.symlink_to(path)
    return name


def test_a_part_that_has_not_ended(parts, tmp_path):
    path = tmp_path / "run"
    compiled().sample(**OPTIONS, checkpoint=path, chain_ids=range(4, 8))
    nutmill.resume(path, compiled(), draws=100_000_000, max_time=0.2, **QUIET)
    manifest = json.loads((path / "manifest.json").read_text())
    first = json.loads((parts[0] / "manifest.json").read_text())
    for part in (manifest, first):
        part["asked"]["draws"] = part["settings"]["draws"] = 100_000_000
    assert manifest["asked"] | {"chain_ids": 0} == first["asked"] | {"chain_ids": 0}
    part = tmp_path / "part"
    part.mkdir()
    (part / "manifest.json").write_text(json.dumps(first))
    for name in ("chains", "groups"):
        link(parts[0] / name, part / name)
    with pytest.raises(CheckpointError, match=r"Chain 0 has 120 of 100000000 draws: resume"):
        nutmill.merge([part, path], compiled())
