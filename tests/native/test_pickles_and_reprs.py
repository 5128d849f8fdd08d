"""What compiled models and results of comparing and explaining look like, and models that go through pickles."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pymc as pm
import pytest
import saved
from comparison.test_page import comparison  # noqa: F401  a fixture
from explanation.made_up import made_up

from nutmill import ModelError, compile_model, load, sample_numba
from nutmill.native.compiled import from_bytes
from nutmill.native.container import Damaged
from nutmill.results.trace import group

OPTIONS = {"draws": 10, "tune": 10, "chains": 1, "random_seed": 1, "progressbar": False}
OPTIONS |= {"compute_convergence_checks": False}


def draws(model):
    return group(sample_numba(model, **OPTIONS), "posterior")["mu"].values


@pytest.mark.parametrize("through", [copy.deepcopy, copy.copy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_draws_the_same(through):
    model = saved.small().with_data(y_data=[0.0, 5.0, 9.0])
    other = through(model)
    assert other is not model
    np.testing.assert_array_equal(draws(other), draws(model))
    assert other.to_bytes() == model.to_bytes()


def test_a_process_pool_takes_models():
    """Each with data of its own, as in a simulation study."""
    models = [saved.small().with_data(y_data=np.full(3, level)) for level in (0.0, 3.0)]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for model, drawn in zip(models, pool.map(draws, models), strict=True):
            np.testing.assert_array_equal(drawn, draws(model))


def test_what_no_file_can_hold_no_pickle_can():
    model = compile_model(saved.model(), fuse=False)
    with pytest.raises(ModelError, match="so it cannot be saved: compile it with fuse=True"):
        pickle.dumps(model)


def test_a_pickle_that_cannot_run_here_says_why():
    make, (content,) = saved.small().__reduce__()
    with pytest.raises(
        ModelError, match=r"^The pickled model cannot be used: its checksum does not fit, so it is damaged"
    ):
        make(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(Damaged):
        from_bytes(content[:-1])


def test_a_model_in_a_line(tmp_path):
    assert repr(saved.small()) == "CompiledModel(mu; data y_data)"
    saved.small().save(tmp_path / "bare.nut", data=False)
    bare = load(tmp_path / "bare.nut")
    assert repr(bare) == "CompiledModel(mu; data y_data; saved without its data)"
    assert bare._repr_html_() == f"<pre>{bare!r}</pre>"


def test_a_model_of_many_variables_in_a_line():
    with pm.Model() as model:
        for name in "abcdefg":
            pm.Normal(name)
    assert repr(compile_model(model)) == "CompiledModel(a, b, c, d, e, ...)"


def test_a_model_in_a_notebook():
    assert "1 unconstrained values" in saved.small()._repr_html_()
    assert saved.small()._repr_html_().startswith("<pre>")


def test_a_comparison(comparison):  # noqa: F811
    assert repr(comparison).startswith("Comparison('<model>', ") and len(repr(comparison)) < 200
    shown = comparison._repr_html_()
    assert "&lt;model&gt;" in shown and "<model>" not in shown
    assert shown.count("<table>") == shown.count("</table>") > 0 and "<style>" not in shown


def test_an_explanation():
    found = made_up()
    assert repr(found).startswith("Explanation(") and len(repr(found)) < 200
    assert found._repr_html_().count("<h4>") == found._repr_html_().count("<p>") == 7
