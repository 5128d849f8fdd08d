"""Arguments that `sample_numba` does not have: each keyword of other samplers is answered with what to write."""

import inspect
import re

import pymc as pm
import pytest

import nutmill
from nutmill import ArgumentError, ModelError
from nutmill.sampling.keywords import _ANSWERS

KNOWN = inspect.signature(nutmill.sample).parameters
# Which are those of NUTS, and ours.
OF_STEPS = {"kwargs"}


@pytest.mark.parametrize("name", sorted(set(inspect.signature(pm.sample).parameters) - set(KNOWN) - OF_STEPS))
def test_each_keyword_of_pymc_is_answered(name):
    with pytest.raises(ArgumentError, match=f"^nutmill.sample has no keyword {name}: [^:]+\\.$"):
        nutmill.sample(**{name: 1})


def test_answers_name_keywords_that_there_are():
    for name, said in _ANSWERS.items():
        assert name not in KNOWN
        if found := re.match(r"write (\w+)=", said):
            assert found[1] in KNOWN, said


@pytest.mark.parametrize(
    ("arguments", "keywords", "said"),
    [
        ((), {"drwas": 3}, "has no keyword drwas: did you mean draws?"),
        ((), {"xyz": 3}, "has no keyword xyz. It has model, draws, tune, "),
        ((), {"target_accpt": 0.9}, "did you mean target_accept?"),
        ((1000,), {}, "The first argument is the model; for the number of draws write draws=1000."),
        ((None, 1000), {}, "The model alone goes without a name: write draws="),
        ((), {"draws": "1000"}, "draws must be a whole number, at least 1, not '1000'."),
        (("a model",), {}, "A model is a pm.Model, a PyTensor graph or an njit density, not 'a model'. A file of"),
        ((pm.Model,), {}, "not <class 'pymc.model.core.Model'>. Call it, and pass what it returns."),
        ((), {"warmup": 500}, "has no keyword warmup: write tune=, or nothing"),
        ((), {"chain_method": "parallel"}, "has no keyword chain_method: leave it out, chains run in threads"),
    ],
)
def test_what_is_wrong_with_arguments(arguments, keywords, said):
    with pytest.raises(ArgumentError) as told:
        nutmill.sample(*arguments, **keywords)
    assert said in str(told.value)
    assert isinstance(told.value, TypeError) and isinstance(told.value, ValueError)
    assert not isinstance(told.value, ModelError)  # it has nothing to do with the model


def test_editors_see_the_arguments():
    assert list(KNOWN)[:3] == ["model", "draws", "tune"]
    assert nutmill.sample.__name__ == "sample_numba" and nutmill.sample.__doc__.startswith("Draw from the posterior")
