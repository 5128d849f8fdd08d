"""Link bitcode of the kernel and of a model, optimise it as one module, and emit one native object.

Two forms: `fused` holds kernel and model, optimised across the seam; `pointer` holds the kernel alone, which reads
the addresses of the model's functions from the data record, and so serves every model.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import llvmlite.binding as llvm

from nutmill.errors import Status
from nutmill.model import vectormath
from nutmill.model.lower import Lowered
from nutmill.model.runtime import RESHAPE, RUNTIME
from nutmill.native.object import PREFIX, RELEASE
from nutmill.native.processor import Target
from nutmill.native.record import POINTER_WORDS
from nutmill.native.vectormath import available

# What code that calls back into the interpreter begins with; such code cannot leave Numba's engine.
_NEEDS_PYTHON = re.compile(r"call [^\n]*@(PyGILState_Ensure|numba_gil_ensure)\(")


# A reference count of no memory, such as that of a small array on the stack.
_IDLE_COUNT = re.compile(r"^ +(tail )?call (fastcc )?void @NRT_(in|de)cref\(ptr null\)[^\n]*\n", re.MULTILINE)

# A loop around a density whose address is given: for measuring, with nothing of Python between two evaluations.
_REPEAT = f"""define i64 @{PREFIX}repeat(i64 %address, i64 %q, i64 %lp, i64 %gradient, i64 %record, i64 %count) {{
  %density = inttoptr i64 %address to ptr
  br label %next
next:
  %done = phi i64 [0, %0], [%more, %body]
  %failed = phi i64 [0, %0], [%total, %body]
  %goes_on = icmp slt i64 %done, %count
  br i1 %goes_on, label %body, label %end
body:
  %status = call i32 %density(i64 %q, i64 %lp, i64 %gradient, i64 %record)
  %is_bad = icmp ne i32 %status, 0
  %bad = zext i1 %is_bad to i64
  %total = add i64 %failed, %bad
  %more = add i64 %done, 1
  br label %next
end:
  ret i64 %failed
}}
"""


class Unlinkable(Exception):
    """The model's code calls back into Python and has to stay in Numba's engine."""


class Bitcode(NamedTuple):
    """One C function of the kernel."""

    bitcode: bytes
    symbol: str


def fuse(kernel: Mapping[str, Bitcode], model: Mapping[str, Lowered], target: Target) -> bytes:
    """Link kernel and model and return the native object, whose entries are called `nutmill_<name>`.

    Raises
    ------
    Unlinkable
        If code of the model needs Python.
    """
    modules = [_model_module(entry, target) for entry in model.values()]
    glue = [_call(name, entry.symbol, entry.n_words) for name, entry in model.items()]
    return _build([*modules, *_kernel_modules(kernel)], glue, [*kernel, *model], target)


def fuse_pointer(kernel: Mapping[str, Bitcode], target: Target) -> bytes:
    """Return the native object of the kernel alone, with the model's entries called through the data record."""
    glue = [_call_pointer(name, n_words, word) for name, (n_words, word) in POINTER_WORDS.items()]
    return _build(_kernel_modules(kernel), glue, [*kernel, *POINTER_WORDS], target)


def fuse_shared(kernel: Mapping[str, Bitcode], target: Target) -> bytes:
    """Return the native object of what never calls a density by its symbol: one serves all models."""
    return _build(_kernel_modules(kernel), [_REPEAT], [*kernel, "repeat"], target)


def _kernel_modules(kernel: Mapping[str, Bitcode]) -> list[llvm.ModuleRef]:
    modules = []
    for name, entry in kernel.items():
        module = llvm.parse_bitcode(entry.bitcode)
        _keep(module, entry.symbol).name = PREFIX + name
        modules.append(module)
    return modules


def _model_module(entry: Lowered, target: Target) -> llvm.ModuleRef:
    text = str(llvm.parse_bitcode(entry.bitcode))
    if _NEEDS_PYTHON.search(text):
        raise Unlinkable
    module = llvm.parse_assembly(vectormath.annotate(text, available(target)))
    _keep(module, entry.symbol)
    return module


def _keep(module: llvm.ModuleRef, symbol: str) -> llvm.ValueRef:
    """Numba marks what it shares as droppable, and a linker drops what nothing calls yet."""
    function = module.get_function(symbol)
    function.linkage = "external"
    return function


def _build(modules: Sequence[llvm.ModuleRef], glue: Sequence[str], exported: Sequence[str], target: Target) -> bytes:
    machine = target.machine()
    module = _link(modules, glue, exported)
    _optimise(module, machine)
    return machine.emit_object(_without_idle_counts(module))


def _without_idle_counts(module: llvm.ModuleRef) -> llvm.ModuleRef:
    """Drop reference counts of memory that nobody owns: known for what it is only after inlining."""
    text = str(module)
    counted = _IDLE_COUNT.sub("", text)
    return module if counted == text else llvm.parse_assembly(counted)


def _link(modules: Sequence[llvm.ModuleRef], glue: Sequence[str], exported: Sequence[str]) -> llvm.ModuleRef:
    whole, *others = modules
    for module in others:
        whole.link_in(module)
    slots = sorted(set(re.findall(rf"@({PREFIX}(?:blas|special)_\w+) = external", str(whole))))
    text = "\n".join([*glue, RUNTIME, RESHAPE, *(f"@{slot} = global ptr null" for slot in slots)])
    glue_module = llvm.parse_assembly(text)
    glue_module.triple = whole.triple
    glue_module.data_layout = whole.data_layout
    whole.link_in(glue_module)
    keep = {PREFIX + name for name in exported} | {RELEASE, *slots}
    for value in (*whole.functions, *whole.global_variables):
        if not value.is_declaration and value.name not in keep and value.linkage != llvm.Linkage.appending:
            value.linkage = "internal"
    return whole


def _call(name: str, symbol: str, n_words: int) -> str:
    """IR of a C function around one in Numba's convention; an exception there becomes a status here."""
    parameters = ", ".join(f"i64 %w{i}" for i in range(n_words))
    types_ = ", ".join(["i64"] * n_words)
    body = _body(f'@"{symbol}"', parameters)
    return f'declare i32 @"{symbol}"(ptr, ptr, {types_})\n' + _define(name, parameters, body)


def _call_pointer(name: str, n_words: int, word: int) -> str:
    """IR of a C function that calls what word `word` of the record, its last argument, points to."""
    parameters = ", ".join(f"i64 %w{i}" for i in range(n_words))
    body = f"""  %at = add i64 %w{n_words - 1}, {8 * word}
  %slot = inttoptr i64 %at to ptr
  %function = load ptr, ptr %slot
{_body("%function", parameters)}"""
    return _define(name, parameters, body)


def _body(function: str, parameters: str) -> str:
    return f"""  %result = alloca i64
  %exception = alloca ptr
  store i64 0, ptr %result
  %raised = call i32 {function}(ptr %result, ptr %exception, {parameters})
  %code = load i64, ptr %result
  %status = trunc i64 %code to i32
  %is_fine = icmp eq i32 %raised, 0
  %answer = select i1 %is_fine, i32 %status, i32 {int(Status.OP_RAISED)}
  ret i32 %answer"""


def _define(name: str, parameters: str, body: str) -> str:
    return f"define i32 @{PREFIX}{name}({parameters}) {{\n{body}\n}}\n"


def _optimise(module: llvm.ModuleRef, machine: llvm.TargetMachine) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
