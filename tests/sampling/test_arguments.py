"""Arguments that have no meaning: each is refused by one sentence, before anything is compiled."""

import numpy as np
import pymc as pm
import pytest
import zoo

import nutmill
from nutmill import ArgumentError, ModelError, sample_numba
from nutmill.sampling.request import checked_request

QUICK = {"draws": 20, "tune": 50, "chains": 1, "progressbar": False, "compute_convergence_checks": False}


@pytest.fixture(scope="module")
def one_normal():
    with pm.Model() as model:
        pm.Normal("x", 0.0, 1.0)
    return model


def refused(pattern: str, error=ModelError):
    """Expect a sentence that matches."""
    return pytest.raises(error, match=pattern)


def test_unknown_var_names_are_refused(one_normal):
    with refused("var_names has no such variable: z. The model has x"):
        sample_numba(one_normal, var_names=["z"], **QUICK)
    with refused(r"var_names is a list of names: write var_names=\['x'\]"):
        sample_numba(one_normal, var_names="x", **QUICK)


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ({"draws": 0}, "draws must be a whole number, at least 1, not 0"),
        ({"draws": -5}, "draws must be"),
        ({"draws": 2.5}, "draws must be a whole number"),
        ({"draws": "10"}, "draws must be a whole number"),
        ({"draws": None}, "draws must be a whole number"),
        ({"draws": True}, "draws must be a whole number"),
        ({"tune": -1}, "tune must be a whole number, at least 0"),
        ({"chains": 0}, "chains must be a whole number, between 1 and 1000000, not 0"),
        ({"chains": -1}, "chains must be"),
        ({"cores": 0}, "cores must be"),
        ({"starts": "anywhere"}, 'starts must be "jitter" or "prior", not'),
        ({"max_treedepth": 0}, "max_treedepth must be a whole number, between 1 and"),
        ({"target_accept": 1.0}, "target_accept must lie between 0 and 1"),
        ({"target_accept": np.nan}, "target_accept must lie between 0 and 1"),
        ({"target_accept": "high"}, "target_accept must lie between 0 and 1"),
        ({"random_seed": -1}, "random_seed must be a non-negative integer"),
        ({"random_seed": "seed"}, "random_seed must be"),
        ({"metric": "dense"}, 'metric must be "auto" or "diag"'),
        ({"idata_kwargs": {"log_lik": True}}, "idata_kwargs has no option log_lik; it has log_likelihood"),
        ({"idata_kwargs": {"log_likelihood": "no"}}, "idata_kwargs: log_likelihood must be True or False, not 'no'"),
        ({"idata_kwargs": 3}, "idata_kwargs must be a dict from options to True or False, not 3"),
        ({"chains": 10**10}, "chains must be a whole number, between 1 and 1000000, not"),
        ({"jitter": "yes"}, "jitter must be True or False, not 'yes'"),
        ({"discard_tuned_samples": None}, "discard_tuned_samples must be True or False, not None"),
        ({"chain_ids": 3}, r"chain_ids must be a list of whole numbers, such as \[0, 1, 2, 3\], not 3"),
        ({"chain_ids": "0123"}, "chain_ids must be a list of whole numbers"),
        ({"checkpoint": 3}, "checkpoint must be the path of a folder, not 3"),
        ({"checkpoint": ""}, "checkpoint must be the path of a folder, not ''"),
        ({"checkpoint": "a\0b"}, "checkpoint must be the path of a folder, not"),
    ],
)
def test_arguments_are_checked_before_anything_is_compiled(one_normal, arguments, pattern, monkeypatch):
    monkeypatch.delattr("nutmill.model.compile_model.compile_model")
    with refused(pattern, ArgumentError):
        sample_numba(one_normal, **QUICK | arguments)


def test_var_names_of_a_compiled_model_are_those_of_its_compile():
    with refused(
        "compiled already, with the variables that it reports: give var_names to compile_model", ArgumentError
    ):
        sample_numba(zoo.compiled("regression"), **QUICK, var_names=["beta"])


def test_a_seed_sequence_is_a_seed():
    seeds = [
        checked_request(random_seed=seed).seed for seed in ([1, 2], np.random.SeedSequence([1, 2]), [2, 1], np.int8(3))
    ]
    assert seeds[0] == seeds[1] != seeds[2]
    assert seeds[3] == 3


@pytest.mark.parametrize(
    ("initvals", "pattern"),
    [
        ({"slope": 1.0}, "initvals has no such variable: slope. Free variables: level, beta, sigma"),
        ({"beta": np.zeros(3)}, "initval of beta has shape"),
        (
            {"beta": np.zeros((4, 2))},
            r"do not fit their variables: beta has shape \(4, 2\), and its variable \(2,\)\.$",
        ),
        ({"sigma": -1.0}, "initval of sigma lies outside its support"),
        ({"sigma": np.nan}, "initval of sigma lies outside its support"),
        ({"beta": [np.nan, 0.0]}, "initval of beta lies outside its support"),
        ([{"sigma": 1.0}, None], "initvals has 2 entries for 1 chains"),
        ({"beta": np.ma.masked_array([1.0, 2.0], mask=[0, 1])}, "initval of beta has masked values: give a number"),
        ([1.0], "initvals must be a dict"),
        (1.0, "initvals must be a dict"),
    ],
)
def test_initial_values_that_do_not_fit_are_refused(initvals, pattern):
    with refused(pattern):
        sample_numba(zoo.compiled("regression"), **QUICK, initvals=initvals)


@pytest.mark.parametrize(
    ("call", "pattern"),
    [
        (lambda: nutmill.resume(3), "path must be the path of a run's folder, not 3"),
        (lambda: nutmill.status(None), "path must be the path of a run's folder, not None"),
        (lambda: nutmill.merge([3]), "each of folders must be the path of a run's folder, not 3"),
        (lambda: nutmill.load(b"model.nut"), "path must be the path of a model's file, not b'model.nut'"),
        (lambda: zoo.compiled("regression").save(None), "path must be the path of a file, not None"),
        (lambda: zoo.compiled("regression").with_data(coords=["a"]), "coords must be a mapping from dimensions"),
    ],
)
def test_what_is_no_path_and_no_mapping_is_named(call, pattern):
    with refused(pattern, ArgumentError):
        call()
