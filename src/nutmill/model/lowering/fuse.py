"""Link bitcode into native objects: one of the kernel, which serves every model, and one of each model.

The kernel reads the address of the model's density from the data record. So it is optimised once per installation,
not once more with every model, which takes longer than all of a small model; a call costs a nanosecond or two.
"""

import re
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

import llvmlite.binding as llvm

from nutmill.errors import Status
from nutmill.model.lowering import vector_calls
from nutmill.model.lowering.runtime import RESHAPE, RUNTIME
from nutmill.native.libmvec import available
from nutmill.native.object import PREFIX, RELEASE
from nutmill.native.processor import Target
from nutmill.native.record import DENSITY_WORD, ENTRY_WORDS, SITES_WORD

# What code that calls back into the interpreter begins with; such code cannot leave Numba's engine.
_NEEDS_PYTHON = re.compile(r"call [^\n]*@(PyGILState_Ensure|numba_gil_ensure)\(")

# What Numba calls the variables in which it keeps addresses: of functions of C, of large constants.
_ADDRESS = b"numba.dynamic.globals"

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


class Lowered(NamedTuple):
    """One function of a model: its bitcode, the symbol in it, how many words it takes, and where it is loaded."""

    bitcode: bytes
    symbol: str
    n_words: int
    address: int  # in Numba's own engine, in Numba's calling convention
    owner: object  # keeps what that engine needs to run it

    @property
    def has_addresses(self) -> bool:
        """Whether it holds addresses of this process, and so means nothing in another."""
        return _ADDRESS in self.bitcode


def link_kernel(kernel: Mapping[str, Bitcode], target: Target) -> bytes:
    """Return the native object of the kernel, which finds the density of a model in the data record."""
    return _build(
        _kernel_modules(kernel),
        [_call_in_record("density", DENSITY_WORD), _call_in_record("sites", SITES_WORD), _REPEAT],
        [*kernel, "repeat"],
        target,
    )


def link_model(model: Mapping[str, Lowered], target: Target) -> bytes:
    """Return the native object of a model, whose entries are called `nutmill_<name>`.

    Raises Unlinkable if code of the model needs Python.
    """
    modules = [_model_module(entry, target) for entry in model.values()]
    glue = [_call(name, f'@"{entry.symbol}"', entry.n_words) for name, entry in model.items()]
    declared = [_declare(entry.symbol, entry.n_words) for entry in model.values()]
    return _build(modules, [*declared, *glue], [*model], target)


def link_addresses(model: Mapping[str, Lowered], target: Target) -> bytes:
    """Return a native object with the same entries, which call the model where it lies in Numba's engine."""
    glue = [_call(name, f"inttoptr (i64 {entry.address} to ptr)", entry.n_words) for name, entry in model.items()]
    return _build([], glue, [*model], target)


def _kernel_modules(kernel: Mapping[str, Bitcode]) -> list[llvm.ModuleRef]:
    modules = []
    for name, entry in kernel.items():
        module = llvm.parse_bitcode(entry.bitcode)
        _keep(module, entry.symbol).name = PREFIX + name
        modules.append(module)
    return modules


def needs_python(entry: Lowered) -> bool:
    """Whether the code of an entry calls back into Python."""
    return _NEEDS_PYTHON.search(_text(entry)) is not None


def _text(entry: Lowered) -> str:
    return str(llvm.parse_bitcode(entry.bitcode))


def _model_module(entry: Lowered, target: Target) -> llvm.ModuleRef:
    text = _text(entry)
    if _NEEDS_PYTHON.search(text):
        raise Unlinkable
    module = llvm.parse_assembly(vector_calls.annotate(text, available(target)))
    _keep(module, entry.symbol)
    # Names are unique to a process, but not in what Numba takes from a cache on disk, such as a density of the user's.
    runtime = {function.name for function in module.functions if function.name.startswith("NRT_")}
    _hide(module, {entry.symbol} | runtime)
    return module


def _hide(module: llvm.ModuleRef, keep: Set[str]) -> None:
    """Let no other module refer to what is defined in this one, but for what to keep."""
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name not in keep and value.linkage != llvm.Linkage.appending:
            value.linkage = "internal"


def _keep(module: llvm.ModuleRef, symbol: str) -> llvm.ValueRef:
    """Numba marks what it shares as droppable, and a linker drops what nothing calls yet."""
    function = module.get_function(symbol)
    function.linkage = "external"
    return function


def _build(modules: Sequence[llvm.ModuleRef], glue: Sequence[str], exported: Sequence[str], target: Target) -> bytes:
    machine = target.machine()
    module = _link(modules, glue, exported, machine)
    _optimise(module, machine)
    return machine.emit_object(_without_idle_counts(module))


def _without_idle_counts(module: llvm.ModuleRef) -> llvm.ModuleRef:
    """Drop reference counts of memory that nobody owns: known for what it is only after inlining."""
    text = str(module)
    counted = _IDLE_COUNT.sub("", text)
    return module if counted == text else llvm.parse_assembly(counted)


def _link(
    modules: Sequence[llvm.ModuleRef], glue: Sequence[str], exported: Sequence[str], machine: llvm.TargetMachine
) -> llvm.ModuleRef:
    whole = llvm.parse_assembly("")
    whole.triple, whole.data_layout = machine.triple, str(machine.target_data)
    for module in modules:
        whole.link_in(module)
    slots = sorted(set(re.findall(rf"@({PREFIX}(?:blas|special)_\w+) = external", str(whole))))
    text = "\n".join([*glue, RUNTIME, RESHAPE, *(f"@{slot} = global ptr null" for slot in slots)])
    glue_module = llvm.parse_assembly(text)
    glue_module.triple, glue_module.data_layout = whole.triple, whole.data_layout
    whole.link_in(glue_module)
    _hide(whole, {PREFIX + name for name in exported} | {RELEASE, *slots})
    return whole


def _declare(symbol: str, n_words: int) -> str:
    """IR that declares a function in Numba's convention."""
    return f'declare i32 @"{symbol}"(ptr, ptr, {", ".join(["i64"] * n_words)})'


def _call_in_record(name: str, word: int) -> str:
    """IR of a C function that calls the one whose address the record, its last argument, holds."""
    parameters = _parameters(ENTRY_WORDS[name])
    return f"""define i32 @{PREFIX}{name}({parameters}) {{
  %at = add i64 %w{ENTRY_WORDS[name] - 1}, {8 * word}
  %slot = inttoptr i64 %at to ptr
  %function = load ptr, ptr %slot
  %status = call i32 %function({parameters})
  ret i32 %status
}}
"""


def _parameters(n_words: int) -> str:
    return ", ".join(f"i64 %w{i}" for i in range(n_words))


def _call(name: str, function: str, n_words: int) -> str:
    """IR of a C function around one in Numba's convention; an exception there becomes a status here."""
    parameters = _parameters(n_words)
    return f"""define i32 @{PREFIX}{name}({parameters}) {{
  %result = alloca i64
  %exception = alloca ptr
  store i64 0, ptr %result
  %raised = call i32 {function}(ptr %result, ptr %exception, {parameters})
  %code = load i64, ptr %result
  %status = trunc i64 %code to i32
  %is_fine = icmp eq i32 %raised, 0
  %answer = select i1 %is_fine, i32 %status, i32 {int(Status.OP_RAISED)}
  ret i32 %answer
}}
"""


def _optimise(module: llvm.ModuleRef, machine: llvm.TargetMachine) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
