"""Code for levels of x86-64: what it may contain, that all levels compute the same, and who may load it."""

import functools
import shutil
import subprocess

import numpy as np
import pymc as pm
import pytest
from artifacts import QUIET, again, facts
from assertions import assert_mean_and_variance
from llvmlite import binding as llvm
from numpy.testing import assert_allclose
from processes import output_of, start
from saved import refused
from scipy import stats

from nutmill import compile_model, sample_numba
from nutmill.native import cache_space
from nutmill.native.compiled import from_bytes
from nutmill.native.container import Damaged
from nutmill.native.libmvec import available
from nutmill.native.object import undefined_symbols
from nutmill.native.processor import Target, obstacle, target

LEVELS = ("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4")
HERE = target()

on_x86 = pytest.mark.skipif(not HERE.triple.startswith("x86_64"), reason="levels are those of x86-64")
X = np.linspace(-2.0, 2.0, 40)


def density() -> pm.Model:
    """A posterior known in closed form, and a loop of functions that have vector forms."""
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 1.0)
        pm.Deterministic("waves", pm.math.exp(mu * X) * pm.math.sin(mu * X))
        pm.Normal("y", mu, 1.0, observed=X + 1.0)
    return model


@functools.cache
def compiled(name: str):
    return compile_model(density(), target=name)


@on_x86
@pytest.mark.parametrize("name", LEVELS)
def test_levels_have_all_that_those_below_have(name):
    features = [set(target(level).features) for level in LEVELS]
    i = LEVELS.index(name)
    assert features[i] and (i == 0 or features[i - 1] < features[i])
    assert target(name).cpu == name and target(name) is target(name)
    # Names that LLVM does not know would be ignored with a message, and refuse every processor.
    assert features[i] <= set(llvm.get_host_cpu_features())


@on_x86
@pytest.mark.parametrize("name", LEVELS)
def test_every_level_compiles_and_runs_where_it_can(name):
    made = compiled(name)
    assert made.code.target == target(name)
    content = made.to_bytes()
    if obstacle(target(name)):
        with pytest.raises(Damaged, match="lacks avx"):
            from_bytes(content)
        return
    native = compiled("native")
    for q in np.array([[-1.5], [0.0], [0.7]]):
        (value, gradient), (expected, expected_gradient) = made.logp_dlogp(q), native.logp_dlogp(q)
        assert value == pytest.approx(expected, rel=1e-13)
        assert_allclose(gradient, expected_gradient, rtol=1e-12, atol=1e-13)
        assert_allclose(made.expand(q[None])["waves"][0], np.exp(q * X) * np.sin(q * X), rtol=1e-14, atol=1e-15)
    assert facts(from_bytes(content)) == facts(made)
    precision = 1.0 + len(X)
    draws = sample_numba(made, draws=1000, tune=300, chains=4, random_seed=1, **QUIET)["posterior"]["mu"].values
    assert_mean_and_variance(draws, (X + 1.0).sum() / precision, 1.0 / precision)
    assert made.logp_dlogp(np.zeros(1))[0] == pytest.approx(
        stats.norm.logpdf(0.0) + stats.norm.logpdf(X + 1.0).sum(), rel=1e-13
    )


@on_x86
@pytest.mark.parametrize(
    ("name", "may", "may_not"),
    [
        ("x86-64", (), ("_ZGVb", "_ZGVd", "_ZGVe")),
        ("x86-64-v2", (), ("_ZGVd", "_ZGVe")),
        ("x86-64-v3", ("_ZGVd",), ("_ZGVe",)),
    ],
)
def test_vector_functions_are_those_of_the_level(name, may, may_not):
    symbols = undefined_symbols(compiled(name).code.native.code)
    for prefix in may if available() else ():
        assert any(symbol.startswith(prefix) for symbol in symbols)
    assert not [symbol for symbol in symbols if symbol.startswith(may_not)]


# What the registers of a level are called, and masks, which only AVX-512 has.
BEYOND = {"x86-64": ("%ymm", "%zmm", "%k1"), "x86-64-v2": ("%ymm", "%zmm", "%k1"), "x86-64-v3": ("%zmm", "%k1")}


@on_x86
def test_a_machine_without_vector_functions(tmp_path):
    """Code that needs none of them finds all else in the process itself."""
    compiled("x86-64").save(tmp_path / "model.nut")
    code = f"""
import numpy as np
from nutmill.native import libmvec as vectormath
vectormath._LIBRARY = "of-another-world.so"
import nutmill
compiled = nutmill.load({str(tmp_path / "model.nut")!r})
assert not vectormath.available()
print(repr(compiled.logp_dlogp(np.zeros(1))[0]))
"""
    assert float(output_of(start(code))) == compiled("x86-64").logp_dlogp(np.zeros(1))[0]


@on_x86
@pytest.mark.skipif(shutil.which("objdump") is None, reason="no disassembler")
@pytest.mark.parametrize("name", BEYOND)
@pytest.mark.parametrize("part", ["native", "kernel", "functions"])
def test_instructions_are_those_of_the_level(tmp_path, name, part):
    model = compiled(name)
    origin = model.origin.saved(model.description.values, model.code.target)
    code = origin.functions.code if part == "functions" else getattr(model.code, part).code
    (tmp_path / "code.o").write_bytes(code)
    done = subprocess.run(["objdump", "-d", "code.o"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "%xmm" in done.stdout
    for register in BEYOND[name]:
        assert register not in done.stdout
    if (name, part) == ("x86-64-v3", "native"):
        assert "%ymm" in done.stdout


@on_x86
def test_each_target_has_an_entry_of_its_own_in_the_cache(model_cache):
    for name in ("native", "x86-64", "x86-64-v3", "native", "x86-64"):
        made = compile_model(density(), target=name)
        kept = [stored for stored in cache_space.listing() if stored.header.kind == "model"]
        assert made.code.target.name == name
    assert len(kept) == 3 and made.code.from_cache
    assert {stored.header.environment["cpu"] for stored in kept} == {HERE.cpu, "x86-64", "x86-64-v3"}
    assert facts(made) == facts(again(made))


@on_x86
def test_a_target_that_is_not_there():
    with refused(r"There is no target 'x86-64-v5' on this .*: take \"native\", \"x86-64\", .*\"x86-64-v4\"\."):
        compile_model(density(), target="x86-64-v5")


def test_code_for_others_is_fused():
    with refused("Code that goes through a pointer lives in this process: leave out target="):
        compile_model(density(), target="x86-64", fuse=False)


def test_obstacles():
    assert obstacle(HERE) is None
    assert obstacle(HERE._replace(features=HERE.features[1:])) is None
    assert "lacks abacus" in obstacle(HERE._replace(features=(*HERE.features, "abacus")))
    architecture, _, *rest = HERE.triple.split("-")
    assert obstacle(HERE._replace(triple="-".join([architecture, "pc", *rest]))) is None
    assert "it was made for riscv64-unknown-linux-gnu" in obstacle(HERE._replace(triple="riscv64-unknown-linux-gnu"))
    assert Target.from_list(list(HERE)) == HERE
