"""Code from the cache: equal to the last bit to what was compiled, in a new process, without a compiler."""

import json
import logging
import re
import warnings

import numba
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import zoo
from llvmlite import binding as llvm
from processes import output_of, start
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from scipy import stats

from nutmill import CompiledModel, compile_model, sample_numba
from nutmill.model.lowering import environment
from nutmill.native import cache, cache_space
from nutmill.native.object import undefined_symbols, unresolved
from nutmill.native.processor import target

# A new process in which all that compiles raises; it prints what `facts` finds in the model.
IN_A_NEW_PROCESS = """
import json
import numba.core.compiler
import llvmlite.binding as llvm
import zoo
from model.test_code import facts
from nutmill import compile_model
from nutmill.model import build as steps

def refuse(*arguments, **options):
    raise AssertionError("something is compiled")

for name in ("density_outputs", "simplify", "grad", "link_model"):
    assert callable(getattr(steps, name))
    setattr(steps, name, refuse)
steps.lower.density_entry = refuse
numba.core.compiler.CompilerBase.__init__ = refuse
llvm.TargetMachine.emit_object = refuse
compiled = compile_model(zoo.regression())
assert compiled.code.from_cache
print(json.dumps(facts(compiled)))
"""


# Once, after 3000 tests, this process knew all models by other names than new ones do: they agree among themselves.
AS_ANOTHER_PROCESS = "import zoo; from nutmill import compile_model; compile_model(zoo.regression())"


@pytest.fixture(autouse=True)
def sources_that_stand_still():
    """Rightly, nothing is kept by a process whose sources were edited after it read them."""
    assert environment.is_current(), "nutmill's sources were edited since this session began: start it again"


def facts(compiled: CompiledModel) -> dict[str, str]:
    """All that a model computes, as bytes in hexadecimal: density, gradient, reported variables, draws."""
    q = np.linspace(-0.4, 0.5, compiled.n_dim)
    value, gradient = compiled.logp_dlogp(q)
    options = {"progressbar": False, "compute_convergence_checks": False, "random_seed": 7}
    drawn = sample_numba(compiled, draws=30, tune=60, chains=2, **options)["posterior"]
    found = {"value": np.array(value), "gradient": gradient, **compiled.expand(q[None])}
    found |= {f"draws of {name}": drawn[name].values for name in sorted(drawn.data_vars)}
    return {name: np.ascontiguousarray(values).tobytes().hex() for name, values in found.items()}


def models_kept() -> list[cache_space.CachedEntry]:
    return [stored for stored in cache_space.listing() if stored.header is not None and stored.header.kind == "model"]


def test_a_new_process_compiles_nothing_and_computes_the_same(model_cache):
    compiled = compile_model(zoo.regression())
    assert not compiled.code.from_cache and "from the cache" not in compiled.report()
    assert set(compiled.code.stages) == {"fingerprint", "rewrite", "lower", "link"}
    assert compiled.code.lengths.results and compiled.code.native.blas_routines
    (kept,) = models_kept()
    assert kept.header.about == "level, beta, sigma" and kept.header.environment == environment.for_models(target())
    output_of(start(AS_ANOTHER_PROCESS))
    assert json.loads(output_of(start(IN_A_NEW_PROCESS))) == facts(compiled)


def gaussian(y, unit: float = 1.0) -> pm.Model:
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, unit)
        pm.Deterministic("twice", 2.0 * mu)
        pm.Normal("y", mu, 1.0, observed=y)
    return model


def gaussian_logp(mu: float, y, unit: float = 1.0) -> float:
    return stats.norm(0.0, unit).logpdf(mu) + stats.norm(mu).logpdf(y).sum()


def test_other_data_of_another_length_find_the_code(model_cache):
    first = compile_model(gaussian(np.arange(4.0)))
    again = compile_model(gaussian(np.arange(9.0) / 3.0))
    assert not first.code.from_cache and again.code.from_cache
    assert again.logp_dlogp(np.array([0.3]))[0] == pytest.approx(gaussian_logp(0.3, np.arange(9.0) / 3.0), rel=1e-13)
    assert "from the cache" in again.report() and "load" in again.report()
    assert set(again.code.stages) == {"fingerprint", "load"}
    other = compile_model(gaussian(np.arange(4.0), unit=2.0))
    assert not other.code.from_cache
    expected = gaussian_logp(0.3, np.arange(4.0), 2.0)
    assert other.logp_dlogp(np.array([0.3]))[0] == pytest.approx(expected, rel=1e-9)  # PyMC's log(2) is a float32
    assert len(models_kept()) == 2


def test_a_damaged_model_is_compiled_again(model_cache, caplog):
    y = np.arange(4.0)
    before = facts(compile_model(gaussian(y)))
    (kept,) = models_kept()
    content = bytearray(kept.path.read_bytes())
    content[len(content) // 2] ^= 4
    kept.path.write_bytes(content)
    again = compile_model(gaussian(y))
    assert not again.code.from_cache and "checksum" in caplog.text
    assert facts(again) == before
    assert compile_model(gaussian(y)).code.from_cache


def test_two_processes_compile_the_same_model_at_once(model_cache):
    code = """
import json, numpy as np
from model.test_code import compile_model, facts, gaussian
compiled = compile_model(gaussian(np.arange(4.0)))
print(json.dumps([compiled.code.from_cache, facts(compiled)]))
"""
    at_once = [json.loads(output_of(process)) for process in [start(code) for _ in range(2)]]
    is_found, found = json.loads(output_of(start(code)))
    assert is_found and len(models_kept()) == 1
    assert [found, found] == [each for _, each in at_once] == [facts(compile_model(gaussian(np.arange(4.0))))] * 2


class InPython(Op):
    """An op without a native form."""

    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = np.asarray(-0.5 * inputs[0] ** 2)


def with_python() -> pm.Model:
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        pm.Deterministic("y", InPython()(x))
    return model


def with_a_function_of_scipy() -> pm.Model:
    """Its address differs from process to process."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        pm.Potential("p", -pt.i0(x))
    return model


NOT_KEPT = [
    (lambda: compile_model(with_python()), "compiled and not cached: InPython"),
    (lambda: compile_model(numba.njit(lambda q, gradient, data: 0.0), n_dim=1), "compiled and not cached: .*njit"),
    (lambda: compile_model(gaussian(np.arange(4.0)), fuse=False), ""),
]


@pytest.mark.parametrize(("make", "reason"), NOT_KEPT)
def test_what_cannot_be_kept_is_compiled_each_time_and_says_why(model_cache, caplog, make, reason):
    caplog.set_level(logging.INFO, "nutmill")
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            compiled = make()
        assert np.isfinite(compiled.logp_dlogp(np.array([0.3]))[0]) and not compiled.code.from_cache
    assert models_kept() == []
    assert re.search(reason, caplog.text), caplog.text


def test_functions_of_scipy_are_found_by_another_process(model_cache):
    code = """
import json
from model.test_code import compile_model, facts, with_a_function_of_scipy
compiled = compile_model(with_a_function_of_scipy())
print(json.dumps([compiled.code.from_cache, facts(compiled)]))
"""
    compiled = compile_model(with_a_function_of_scipy())
    assert compiled.code.fused and not compiled.code.from_cache
    output_of(start(code))
    assert json.loads(output_of(start(code))) == [True, facts(compiled)]


def test_sources_that_changed_since_the_process_began_are_not_kept(model_cache, caplog, monkeypatch):
    """The code comes from the old sources, and the next process has the new ones."""
    caplog.set_level(logging.INFO, "nutmill")
    monkeypatch.setattr(environment, "_own_sources", lambda: "edited")
    compile_model(gaussian(np.arange(4.0)))
    assert models_kept() == [] and "sources have changed" in caplog.text


def test_an_object_that_needs_what_this_process_lacks(model_cache, caplog, monkeypatch):
    """LLVM would end the process; the cache compiles anew."""
    module = llvm.parse_assembly(
        "declare i64 @nowhere_to_be_found()\ndefine i64 @f() {\n"
        "  %x = call i64 @nowhere_to_be_found()\n  ret i64 %x\n}\n"
    )
    needy = target().machine().emit_object(module)
    assert undefined_symbols(needy) == unresolved(needy) == ["nowhere_to_be_found"]
    caplog.set_level(logging.INFO, "nutmill")
    compiled = compile_model(gaussian(np.arange(4.0)))
    assert undefined_symbols(compiled.code.native.code) and unresolved(compiled.code.native.code) == []
    (kept,) = models_kept()
    entry = cache.load("model", kept.header.key, environment.for_models(target()))
    kept.path.unlink()
    cache.store("model", kept.header.key, environment.for_models(target()), entry._replace(parts={"object": needy}))
    again = compile_model(gaussian(np.arange(4.0)))
    assert not again.code.from_cache and "lacks nowhere_to_be_found" in caplog.text


def test_options_of_pytensor_and_versions_are_in_the_key(model_cache, monkeypatch):
    from pytensor import config

    before = environment.for_models(target())
    with config.change_flags(on_opt_error="raise"):
        assert environment.for_models(target()) != before
    assert environment.for_models(target()) == before
    monkeypatch.setattr(environment, "machine", lambda made_for: {"cpu": "another"})
    assert environment.digest(environment.for_models(target())) != environment.digest(before)
    assert {"cpu", "features", "vector functions", "python", "numba", "llvmlite", "pytensor", "sources"} <= set(before)
