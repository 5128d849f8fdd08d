"""What can be saved: densities of all kinds, special functions; and what cannot, with a sentence each."""

import ctypes
import threading
import warnings

import numba
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import zoo
from artifacts import QUIET, again, facts, facts_elsewhere
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from saved import refused, small

from nutmill import compile_model, sample_numba
from nutmill.model import origin_code as saving
from nutmill.model.build import COMPILING


@numba.njit
def helper(x):
    return -0.5 * x * x


@numba.njit
def of_an_array(q, gradient, data):
    lp = 0.0
    for i in range(q.size):
        gradient[i] = data[i] - q[i]
        lp += helper(q[i] - data[i])
    return lp


@numba.njit
def of_a_tuple(q, gradient, data):
    """Uses the heap: temporaries and a list."""
    x, y = data
    residuals = []
    gradient[:] = 0.0
    for i in range(len(y)):
        residuals.append(y[i] - (x[i] * q).sum())
        gradient += residuals[-1] * x[i]
    lp = 0.0
    for residual in residuals:
        lp -= 0.5 * residual**2
    return lp


def graph():
    scale = pytensor.shared(np.array([1.0, 2.0, 4.0]), name="scale")
    x, z = pt.dvector("x", shape=(3,)), pt.dscalar("z")
    return -0.5 * ((x / scale) ** 2).sum() - 0.5 * (z - 1.0) ** 2


def special() -> pm.Model:
    """Functions of SciPy, through slots."""
    with pm.Model() as model:
        x = pm.Normal("x", 1.0, 0.5, initval=0.7)
        pm.Potential("tie", -pt.erfcx(x) + pt.gammaln(pt.exp(x)) + pt.gammainc(2.0, pt.exp(x)) + pt.i0(x))
        pm.StudentT("t", nu=pm.Gamma("nu", 2.0, 1.0), observed=np.array([0.5, -1.0]))
    return model


DENSITIES = {
    "array": lambda: compile_model(of_an_array, n_dim=2, data=np.array([0.5, 1.5])),
    "tuple": lambda: compile_model(of_a_tuple, n_dim=2, data=(np.arange(8.0).reshape(4, 2), np.ones(4))),
    "graph": lambda: compile_model(graph(), start={"x": [0.5, 1.0, 2.0]}),
    "special": lambda: compile_model(special()),
}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    folder = tmp_path_factory.mktemp("densities")
    here = {}
    for name, make in DENSITIES.items():
        compiled = make()
        compiled.save(folder / f"{name}.nut")
        here[name] = facts(compiled)
    return here, facts_elsewhere(folder)


@pytest.mark.parametrize("name", DENSITIES)
def test_another_process_finds_the_same_bytes(elsewhere, name):
    here, there = elsewhere
    assert there[name] == here[name]


def test_initvals_of_densities():
    compiled = DENSITIES["graph"]()
    loaded = again(compiled)
    for given in ({}, {"z": 3.0}, {"x": [1.0, 2.0, 3.0]}):
        assert (loaded.starts(given, 1, 0, jitter=False) == compiled.starts(given, 1, 0, jitter=False)).all()
    assert loaded.starts({}, 1, 0, jitter=False)[0].tolist() == compiled.starts({}, 1, 0, jitter=False)[0].tolist()
    with refused(r"x has shape \(2,\), and its variable \(3,\)"):
        loaded.starts({"x": [1.0, 2.0]}, 1, 0, jitter=False)
    density = again(DENSITIES["array"]())
    assert density.starts({"q": [3.0, 4.0]}, 1, 0, jitter=False).tolist() == [[3.0, 4.0]]


def test_new_data_of_a_density():
    loaded = again(DENSITIES["array"](), data=False).with_data(data=np.array([2.0, 3.0]))
    assert loaded.logp_dlogp(np.array([2.0, 2.0]))[0] == -0.5


def test_a_model_from_the_cache_can_be_saved(model_cache):
    """Nothing of it was compiled in this process, so all that saving needs must be made ready by itself."""
    first = compile_model(special())
    second = compile_model(special())
    assert not first.code.from_cache and second.code.from_cache
    assert facts(again(second)) == facts(first)


class Doubled(Op):
    """An op that is Python."""

    itypes = [pt.dscalar]  # noqa: RUF012
    otypes = [pt.dscalar]  # noqa: RUF012

    def make_node(self, x):
        return Apply(self, [x], [pt.dscalar()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = np.asarray(2.0 * inputs[0])

    def L_op(self, inputs, outputs, gradients):
        return [2.0 * gradients[0]]

    pullback = L_op


def test_a_model_with_an_op_in_python_is_not_saved():
    with pm.Model() as model:
        pm.Potential("p", Doubled()(pm.Normal("x", 0.0, 1.0)))
    with pytest.warns(UserWarning, match="Doubled has no native implementation"):
        compiled = compile_model(model)
    with refused(r"cannot be saved: compile it with fuse=True, without operations in Python \(Doubled\)"):
        compiled.save("never.nut")


def test_a_model_that_is_not_fused(tmp_path):
    with pm.Model() as model:
        pm.Normal("x", 0.0, 1.0)
    with refused(r"cannot be saved: compile it with fuse=True, without operations in Python\.$"):
        compile_model(model, fuse=False).save(tmp_path / "model.nut")
    assert list(tmp_path.iterdir()) == []


def test_a_model_whose_start_runs_python_is_not_saved():
    """The density is native, and the support point is not."""
    with pm.Model() as model:
        x = pm.Data("x", 1.0)
        pm.Normal("y", 0.0, 1.0, initval=Doubled()(x))
    compiled = compile_model(model)
    assert compiled.code.fused
    with refused("The start or the data of the model are computed in Python: it cannot be saved"):
        compiled.to_bytes()


cosh = ctypes.CDLL("libm.so.6").cosh
cosh.restype, cosh.argtypes = ctypes.c_double, [ctypes.c_double]


@numba.njit
def with_a_function_of_c(q, gradient, data):
    gradient[0] = -q[0]
    return -0.5 * q[0] ** 2 + 0.0 * cosh(q[0])


LARGE = np.random.default_rng(1).normal(size=200_000)


@numba.njit
def with_a_large_constant(q, gradient, data):
    gradient[0] = LARGE[3] - q[0]
    return -0.5 * (q[0] - LARGE[3]) ** 2


@numba.njit
def with_a_typed_list(q, gradient, data):
    values = numba.typed.List()
    values.append(q[0])
    gradient[0] = -values[0]
    return -0.5 * values[0] ** 2


@pytest.mark.parametrize("density", [with_a_function_of_c, with_a_large_constant], ids=lambda d: d.__name__)
def test_code_with_addresses_of_this_process(density):
    compiled = compile_model(density, n_dim=1, data=np.zeros(1))
    assert compiled.code.fused and not compiled.code.stands_alone
    assert np.isfinite(compiled.logp_dlogp(np.zeros(1))[0])
    with refused("holds addresses of this process, .* so it cannot be saved"):
        compiled.to_bytes()


def test_code_that_calls_numba():
    compiled = compile_model(with_a_typed_list, n_dim=1, data=np.zeros(1))
    assert compiled.logp_dlogp(np.ones(1))[0] == -0.5
    with refused("calls Numba's own .*numba_list_append.*, so it cannot be saved"):
        compiled.to_bytes()


def test_two_models_saved_in_two_threads():
    """PyTensor's rewrites and Numba's compiler keep state of the whole process."""
    found, alone = {}, small().to_bytes()

    def save(i):
        found[i] = small().to_bytes()

    threads = [threading.Thread(target=save, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: alone, 1: alone}


def test_a_loaded_model_is_sampled_in_threads():
    loaded = again(DENSITIES["tuple"]())
    draws = [sample_numba(loaded, draws=50, tune=50, chains=4, cores=cores, random_seed=3, **QUIET) for cores in (1, 4)]
    first, second = (result["posterior"]["q"].values for result in draws)
    assert first.tobytes() == second.tobytes()


def with_data() -> pm.Model:
    with pm.Model() as model:
        mean = pm.Normal("mean", 0.0, 2.0)
        pm.Normal("y", mean, 1.0, observed=pm.Data("y_data", [0.5, 1.0, 2.0]))
    return model


def test_functions_of_a_known_model_are_not_compiled_again(model_cache, monkeypatch):
    first = compile_model(with_data()).to_bytes()
    made, compiling = [], saving._fused
    monkeypatch.setattr(saving, "_fused", lambda *arguments: made.append(True) or compiling(*arguments))
    assert compile_model(with_data()).to_bytes() == first
    assert not made
    for path in model_cache.glob("functions-*"):
        path.write_bytes(path.read_bytes()[:-1])
    assert compile_model(with_data()).to_bytes() == first
    assert made


@pytest.mark.usefixtures("compiled_anew")
def test_what_changes_the_filters_of_warnings_for_a_moment_does_so_in_one_thread_at_a_time(monkeypatch):
    """PyTensor does, on the way to a file too; of two threads that overlap the last would put back the wrong ones."""
    model, enter, owned = zoo.regression(), warnings.catch_warnings.__enter__, []

    def noted(self):
        owned.append(COMPILING._is_owned())
        return enter(self)

    monkeypatch.setattr(warnings.catch_warnings, "__enter__", noted)
    compile_model(model).to_bytes()
    assert owned and all(owned)
