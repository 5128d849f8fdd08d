"""Vector math: loops get vector calls on this machine, with the scalar functions' values."""

import ctypes
import math
import re

import llvmlite.binding as llvm
import numpy as np
import pytest
from numba import carray, cfunc, float64, int64, types

from nutmill.model.lowering import vector_calls as vectormath
from nutmill.native.libmvec import available, load
from nutmill.native.processor import target

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

ONE_OPERAND = {
    "exp": (math.exp, -700, 700),
    "exp2": (math.exp2, -1000, 1000),
    "exp10": (lambda x: 10.0**x, -300, 300),
    "expm1": (math.expm1, -40, 700),
    "log": (math.log, 1e-300, 1e3),
    "log2": (math.log2, 1e-300, 1e3),
    "log10": (math.log10, 1e-300, 1e3),
    "log1p": (math.log1p, -0.999, 1e3),
    "sin": (math.sin, -1e4, 1e4),
    "cos": (math.cos, -1e4, 1e4),
    "tan": (math.tan, -1.5, 1.5),
    "sinh": (math.sinh, -700, 700),
    "cosh": (math.cosh, -700, 700),
    "tanh": (math.tanh, -25, 25),
    "asin": (math.asin, -1, 1),
    "acos": (math.acos, -1, 1),
    "atan": (math.atan, -100, 100),
    "asinh": (math.asinh, -1e6, 1e6),
    "acosh": (math.acosh, 1, 1e6),
    "atanh": (math.atanh, -0.999, 0.999),
    "cbrt": (math.cbrt, -1e6, 1e6),
    "erf": (math.erf, -6, 6),
    "erfc": (math.erfc, -6, 26),
}
TWO_OPERANDS = {"pow": math.pow, "atan2": math.atan2, "hypot": math.hypot}

LOOP = """
declare double @{function}({types}) nounwind memory(none)
define void @loop(ptr noalias %x, ptr noalias %y, ptr noalias %out, i64 %n) {{
entry:
  br label %body
body:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %px = getelementptr double, ptr %x, i64 %i
  %py = getelementptr double, ptr %y, i64 %i
  %po = getelementptr double, ptr %out, i64 %i
  %a = load double, ptr %px
  %b = load double, ptr %py
  %value = tail call {flags} double @{function}({operands}) #0
  store double %value, ptr %po
  %next = add nuw i64 %i, 1
  %done = icmp eq i64 %next, %n
  br i1 %done, label %exit, label %body
exit:
  ret void
}}
attributes #0 = {{ nounwind }}
"""


def loop_over(function, operands=1, flags=""):
    """LLVM IR of a loop that applies a function of C or an intrinsic to every value."""
    return LOOP.format(
        function=function,
        types=", ".join(["double"] * operands),
        operands=", ".join(["double noundef %a", "double %b"][:operands]),
        flags=flags,
    )


def optimise(text):
    """Run LLVM's standard pipeline, with vectorisation, for this CPU."""
    machine, module = target().machine(), llvm.parse_assembly(text)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine, module


def vector_calls(module):
    """Names of vector functions that a module calls."""
    return set(re.findall(r"call [^\n]*@(_ZGV\w+)\(", str(module)))


def run(machine, module, x, y):
    """Run `loop` in an engine of its own."""
    load()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(machine.emit_object(module)))
    engine.finalize_object()
    out = np.empty_like(x)
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (x, y, out)]
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)(engine.get_function_address("loop"))(
        *pointers, len(x)
    )
    return out


def largest_error_ulp(found, expected):
    """Largest difference in units in the last place of the expected values."""
    return np.max(np.abs(found - expected) / np.spacing(np.abs(expected)))


@pytest.mark.parametrize("function", ONE_OPERAND)
def test_function_is_vectorised_and_accurate(function):
    scalar, low, high = ONE_OPERAND[function]
    machine, module = optimise(vectormath.annotate(loop_over(function)))
    assert vector_calls(module) <= set(available().get(function, []))
    assert bool(vector_calls(module)) == (function in available())
    x = np.random.default_rng(11).uniform(low, high, size=4001)
    expected = np.array([scalar(value) for value in x])
    assert largest_error_ulp(run(machine, module, x, x), expected) <= 4


@pytest.mark.parametrize("function", TWO_OPERANDS)
def test_function_of_two_operands(function):
    machine, module = optimise(vectormath.annotate(loop_over(function, operands=2)))
    assert bool(vector_calls(module)) == (function in available())
    x, y = np.random.default_rng(12).uniform(0.1, 9.0, size=(2, 4001))
    expected = np.array([TWO_OPERANDS[function](a, b) for a, b in zip(x, y, strict=True)])
    assert largest_error_ulp(run(machine, module, x, y), expected) <= 4


@pytest.mark.parametrize("function", [*ONE_OPERAND, *TWO_OPERANDS])
def test_function_of_float32(function):
    scalar, low, high = ONE_OPERAND.get(function) or (TWO_OPERANDS[function], 0.1, 9.0)
    operands = 2 if function in TWO_OPERANDS else 1
    text = loop_over(f"{function}f", operands=operands).replace("double", "float")
    machine, module = optimise(vectormath.annotate(text))
    assert vector_calls(module) <= set(available().get(f"{function}f", []))
    assert bool(vector_calls(module)) == (f"{function}f" in available())
    # Within what float32 holds.
    x, y = np.random.default_rng(13).uniform(max(low, -80), min(high, 35), size=(2, 4001)).astype(np.float32)
    expected = np.array([scalar(*map(float, pair[:operands])) for pair in zip(x, y, strict=True)], dtype=np.float32)
    assert largest_error_ulp(run(machine, module, x, y), expected) <= 4


def test_an_intrinsic_of_float32():
    text = loop_over("llvm.exp.f32").replace("double", "float")
    _, module = optimise(vectormath.annotate(text))
    assert bool(vector_calls(module)) == ("expf" in available())


@pytest.mark.parametrize("flags", ["", "fast", "reassoc nsz arcp contract afn", "nnan"])
@pytest.mark.parametrize("function", ["llvm.exp.f64", "llvm.log.f64", "exp", "log"])
def test_intrinsics_and_flags(function, flags):
    _, module = optimise(vectormath.annotate(loop_over(function, flags=flags)))
    assert bool(vector_calls(module)) == bool(available())


@pytest.mark.parametrize("function", ["exp", "log", "log1p", "expm1", "tanh", "erf", "sin"])
def test_extremes_are_those_of_numpy(function):
    special = pytest.importorskip("scipy.special")
    reference = special.erf if function == "erf" else getattr(np, function)
    tiny, huge = np.finfo(float).smallest_subnormal, np.finfo(float).max
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, tiny, -tiny, huge, -huge, 1.0, -1.0, -2.0, 710.0, -800.0])
    machine, module = optimise(vectormath.annotate(loop_over(function)))
    with np.errstate(all="ignore"):
        expected = reference(x)
    np.testing.assert_allclose(run(machine, module, x, x), expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_vectors_of_an_earlier_vectoriser(lanes):
    text = f"""
declare <{lanes} x double> @llvm.exp.v{lanes}f64(<{lanes} x double>)
define <{lanes} x double> @f(<{lanes} x double> %x) {{
  %y = tail call nsz contract <{lanes} x double> @llvm.exp.v{lanes}f64(<{lanes} x double> %x)
  ret <{lanes} x double> %y
}}
"""
    forms = [symbol for symbol in available().get("exp", ()) if f"N{lanes}v" in symbol]
    _, module = optimise(vectormath.annotate(text))
    assert vector_calls(module) == set(forms)


def test_numba_code_is_vectorised():
    @cfunc(types.void(types.CPointer(float64), types.CPointer(float64), int64), fastmath={"reassoc", "afn"})
    def loop(x, out, n):
        values, results = carray(x, (n,)), carray(out, (n,))
        for i in range(n):
            results[i] = math.exp(values[i]) + math.log1p(values[i]) * math.log(values[i])

    text = str(llvm.parse_bitcode(loop._library._get_module_for_linking().as_bitcode()))
    module = llvm.parse_assembly(vectormath.annotate(text))
    module.get_function(loop.native_name).linkage = "external"
    _, optimised = optimise(str(module))
    families = {name.split("_")[-1] for name in vector_calls(optimised)}
    assert families == {"exp", "log1p", "log"} & set(available())


def test_without_vector_forms_the_text_stays():
    text = loop_over("exp")
    assert vectormath.annotate(text, {}) == text
    assert vectormath.annotate(loop_over("fma", operands=2)) == loop_over("fma", operands=2)


def test_constants_that_look_like_calls_stay():
    constant = '@text = constant [9 x i8] c"see @exp("'
    annotated = vectormath.annotate(f"{constant}\n{loop_over('exp')}", {"exp": ["_ZGVbN2v_exp"]})
    assert annotated.startswith(constant)
    llvm.parse_assembly(annotated).verify()


def test_forms_exist_and_fit_the_processor():
    features = llvm.get_host_cpu_features()
    for name, symbols in available().items():
        assert all(symbol.endswith(f"_{name}") for symbol in symbols)
        assert features["avx512f"] or not any(symbol.startswith("_ZGVe") for symbol in symbols)
