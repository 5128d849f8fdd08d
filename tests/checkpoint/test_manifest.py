"""What a run folder says of its run is believed only as it was written, and where its checkpoints say the same."""

import json
import shutil

import pytest
from checkpoint.checkpointed import SETTINGS, assert_same, resume, run_kept

from nutmill.checkpoint.group_keeper import GroupKeeper
from nutmill.checkpoint.manifest import MANIFEST, read_manifest, sealed, write_manifest
from nutmill.checkpoint.records import Mark
from nutmill.checkpoint.state_files import SavedState, StateFiles, unpack
from nutmill.errors import CheckpointError
from nutmill.run.checkpoints import read_groups

EDITED = r"manifest\.json is not as nutmill wrote it: it was edited, or it is damaged\. Put back what was there"
OTHERS = "what its checkpoints do not say: they belong to another run, or were begun with other settings"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that has ended; tests must not change it."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    run_kept(path, every_s=0.0, block_draws=10)
    return path


@pytest.fixture
def path(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


@pytest.mark.parametrize(("there", "here"), [("10", "1 "), ("10", "3"), ("10", "20")])
def test_an_edited_tree_depth_is_refused(path, there, here):
    """It is what room for trees is made by; native code goes as deep as its saved state says."""
    text = (path / MANIFEST).read_text()
    assert f'"max_treedepth": {there}' in text
    (path / MANIFEST).write_text(text.replace(f'"max_treedepth": {there}', f'"max_treedepth": {here}'))
    with pytest.raises(CheckpointError, match=EDITED):
        resume(path, draws=400)
    with pytest.raises(CheckpointError, match=EDITED):
        read_groups(path)


@pytest.mark.parametrize(
    "changes", [{"draws": 400}, {"target_accept": 0.9}, {"tune": 7}, {"keep_divergences": False}, {"metric": "diag"}]
)
def test_edited_settings_are_refused(path, changes):
    content = json.loads((path / MANIFEST).read_text())
    content["settings"] |= changes
    (path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=EDITED):
        resume(path)


def test_how_a_manifest_is_written_does_not_matter(path):
    before = read_manifest(path)
    (path / MANIFEST).write_text(json.dumps(json.loads((path / MANIFEST).read_text()), sort_keys=True))
    assert read_manifest(path) == before
    resume(path)


def both(manifest, **changes):
    """Change settings, and what was asked with them."""
    asked = {name: value for name, value in changes.items() if not name.startswith("keep")}
    if "keep_warmup" in changes:
        asked["discard_tuned_samples"] = not changes["keep_warmup"]
    if "keep_divergences" in changes:
        asked["idata_kwargs"] = {"divergences": changes["keep_divergences"]}
    return manifest | {"settings": manifest["settings"] | changes, "request": manifest["request"] | asked}


@pytest.mark.parametrize(
    "changes",
    [
        {"max_treedepth": 3},
        {"max_treedepth": 20},
        {"target_accept": 0.9},
        {"tune": 10**11},
        {"metric": "diag"},
        {"keep_warmup": False},
        {"keep_divergences": False},
    ],
)
def test_settings_are_compared_with_the_checkpoints(path, changes):
    """Sealed anew: a manifest of another run, or one that somebody forged."""
    write_manifest(path, both(read_manifest(path), **changes))
    with pytest.raises(CheckpointError, match=OTHERS):
        resume(path, draws=400)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m | {"n_dim": 10**12},
        lambda m: m | {"n_dim": 2},
        lambda m: m | {"seed": "6", "request": m["request"] | {"random_seed": "6"}},
        lambda m: m | {"chain_ids": [0, 1, 2], "request": m["request"] | {"chain_ids": [0, 1, 2]}},
    ],
    ids=["many", "few", "seed", "chains"],
)
def test_seed_chains_and_lengths_are_compared_too(path, change):
    write_manifest(path, change(read_manifest(path)))
    with pytest.raises(CheckpointError, match=OTHERS):
        resume(path, draws=400)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1]", r"it must be an object, not a list"),
        ("null", r"it must be an object, not None"),
        ("{}", r"it lacks 'schema'"),
        ('{"schema": "2"}', r"schema must be a whole number, at least 0, not '2'"),
        ("[" * 100_000, "nested too deeply"),
        ('{"schema": 2, "more": ' + "[" * 100_000, "nested too deeply"),
        ("{", "no JSON"),
        ("", "no JSON"),
        ("1" * 5000, "no JSON"),
    ],
)
def test_what_is_no_manifest_is_one_sentence(path, content, said):
    (path / MANIFEST).write_text(content)
    with pytest.raises(CheckpointError, match=said) as error:
        resume(path)
    assert "restore it from a copy, or sample again" in str(error.value)


def test_what_is_missing_or_unknown_is_one_sentence(path):
    """As far as a seal is there, so that it cannot be damage."""
    manifest = read_manifest(path)
    for name in manifest:
        if name != "schema":
            (path / MANIFEST).write_bytes(sealed({key: value for key, value in manifest.items() if key != name}))
            with pytest.raises(CheckpointError, match=f"it lacks '{name}'"):
                resume(path)
    (path / MANIFEST).write_bytes(sealed(manifest | {"more": 1}))
    with pytest.raises(CheckpointError, match="it has 'more', which is not known"):
        resume(path)
    (path / MANIFEST).write_bytes(sealed(manifest | {"chain_ids": [1, 0, 2, 3]}))
    with pytest.raises(CheckpointError, match="what was asked is not what it was set to"):
        resume(path)


def test_a_manifest_of_the_schema_before_is_read(path):
    """Its request was called otherwise."""
    manifest = read_manifest(path)
    older = {"asked" if name == "request" else name: value for name, value in manifest.items()}
    (path / MANIFEST).write_bytes(sealed(older | {"schema": 3}))
    assert read_manifest(path) == manifest


def test_a_manifest_of_before_there_was_a_digest(path):
    manifest = read_manifest(path) | {"schema": 1, "versions": {"nutmill": "0.1.0"}}
    (path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"written by nutmill 0\.1\.0, in a form that this version does not read"):
        resume(path)


def forge(path, change):
    """Change a copy of the newest state, and sum it anew; return both files."""
    (group,) = read_groups(path)
    keeper: GroupKeeper = group.files
    files: StateFiles = keeper._states
    newest = files.load(keeper._state)[0]
    arrays = {name: array.copy() for name, array in newest.arrays.items()}
    facts = json.loads(json.dumps(newest.facts))
    change(arrays, facts)
    for sequence in (newest.sequence + 1, newest.sequence + 2):
        files.save(SavedState(sequence, facts, arrays))


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, facts: arrays["settings"].__setitem__("max_treedepth", 20),
        lambda arrays, facts: arrays["schedule"].__setitem__("max_treedepth", 20),
        lambda arrays, facts: arrays["group"].__setitem__("n_dim", 10**6),
        lambda arrays, facts: arrays["group"].__setitem__("phase", 1),
        lambda arrays, facts: arrays["group"].__setitem__("n_warmup", -(10**6)),
        lambda arrays, facts: arrays["chains"].__setitem__("rank", 10**6),
        lambda arrays, facts: arrays["chains"].__setitem__("rank", -1),
        lambda arrays, facts: arrays["chains"].__setitem__("n_draws", -1),
        lambda arrays, facts: arrays["chains"].__setitem__("n_divergences", -1),
        lambda arrays, facts: arrays["blocks"].__setitem__("n_rows", 10**6),
        lambda arrays, facts: arrays["blocks"].__setitem__("end", 10**6),
        lambda arrays, facts: arrays["rng"].__setitem__(..., 0),
        lambda arrays, facts: facts.update(chain_ids=[4, 5, 6, 7]),
        lambda arrays, facts: facts.pop("marks"),
        lambda arrays, facts: facts["marks"].pop(),
        lambda arrays, facts: facts["marks"][0].__setitem__(0, Mark(10**12, 0)),
        lambda arrays, facts: facts.update(walls_s="long"),
        lambda arrays, facts: arrays.pop("position"),
        lambda arrays, facts: arrays.__setitem__("position", arrays["position"][:, :2]),
    ],
)
def test_states_that_no_run_writes_are_no_states(path, change):
    """With the right checksum: no number in them makes native code leave its arrays."""
    forge(path, change)
    with pytest.raises(CheckpointError, match=f"no checkpoint with its draws is whole|{OTHERS}"):
        resume(path, draws=400)


def test_a_state_of_another_run_is_not_used(whole, path, tmp_path):
    """One file of two: the other one is gone on from."""
    other = tmp_path / "other"
    run_kept(other, settings=SETTINGS._replace(target_accept=0.9), every_s=60.0)
    newest = max((path / "groups").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    shutil.copy(other / "groups" / newest.name, newest)
    assert_same(resume(path, draws=300), resume(shutil.copytree(whole, tmp_path / "again"), draws=300))


@pytest.mark.parametrize(
    ("tune", "n_chains", "metric"),
    [(None, 6, "auto"), (None, 1, "diag"), (0, 4, "auto"), (1, 2, "auto"), (37, 5, "auto")],
)
def test_every_state_that_a_run_writes_is_one(tmp_path, monkeypatch, tune, n_chains, metric):
    written, save = [], StateFiles.save

    def save_and_look(self, state):
        save(self, state)
        written.append(self._paths[state.sequence % 2].read_bytes())

    monkeypatch.setattr(StateFiles, "save", save_and_look)
    settings = SETTINGS._replace(tune=tune, metric=metric, draws=20)
    run_kept(tmp_path / "run", n_chains, settings, every_s=0.0, block_draws=1)
    assert len(written) >= 2
    templates = {len(group.chain_ids): group.state for group in read_groups(tmp_path / "run")}
    for content in written:
        chains = json.loads(content[24 : 24 + int.from_bytes(content[16:24], "little")])["facts"]["chain_ids"]
        assert unpack(content, templates[len(chains)]).facts["chain_ids"] == chains
