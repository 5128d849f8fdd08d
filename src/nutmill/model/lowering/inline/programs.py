"""From a rewritten graph to a program: its operations in order, how each is written, when its result is given back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from pytensor.compile.mode import get_mode
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.link.numba.dispatch import scan
from pytensor.link.numba.dispatch.basic import numba_funcify, numba_njit

from nutmill.model.compat import STEPS_HAVE_MODES, WRONG_REWRITES
from nutmill.model.lowering.inline.foreign import foreign_form
from nutmill.model.lowering.inline.operation import Operation, call_of
from nutmill.model.lowering.inline.steps import Program, Step, program_function
from nutmill.model.lowering.inline.writers import operation_of
from nutmill.model.rewriting.rewrite import step_mode


def graph_function(fgraph: FunctionGraph) -> Callable:
    """Make the Numba function of a graph: (*inputs) -> tuple of outputs.

    PyTensor's own conversion makes a Numba function for each operation, with others inside, and one that calls them
    all; here its functions are called for the operations that `writers` does not know.
    """
    write = program_function(graph_program(fgraph))

    def nutmill_graph(*inputs):
        return write(*inputs)

    return numba_njit(nutmill_graph)


def graph_program(fgraph: FunctionGraph, *, numbers: bool = False) -> Program:
    """Put a graph in order, with what each operation is written as.

    With `numbers`, outputs without axes may be numbers in place of arrays.
    """
    return _program(fgraph, {node: _operation(node) for node in fgraph.toposort()}, numbers=numbers)


def step_program(fgraph: FunctionGraph) -> tuple[Program, list[bool]]:
    """Put the step of a loop in order; for each output whether it may share memory with an input of the step."""
    own = {node: _operation(node) for node in fgraph.toposort()}
    given = set(fgraph.inputs)
    shares = [not given.isdisjoint(_leaving([variable], own)) for variable in fgraph.outputs]
    return _program(fgraph, own, numbers=True), shares


def _program(fgraph: FunctionGraph, own: Mapping[Apply, Operation | None], *, numbers: bool) -> Program:
    order = list(own)
    unboxed = _final_numbers(fgraph, own) if numbers else set()
    leaving = _leaving([v for v in fgraph.outputs if v not in unboxed], own)
    shown = _leaving([v for node in order if own[node] is None for v in node.inputs], own)
    finished = _finished(order, fgraph.outputs)
    steps = [
        Step(
            operation=own[node] or _call(node),
            operands=node.inputs,
            results=node.outputs,
            stays=[variable not in leaving and variable not in shown for variable in node.outputs],
            is_shown=own[node] is None or not shown.isdisjoint(node.outputs),
            numbers=[variable for variable in node.outputs if variable in unboxed],
            finished=finished[node],
        )
        for node in order
    ]
    return Program(fgraph.inputs, steps, fgraph.outputs)


def linked_function(fgraph: FunctionGraph, *, numbers: bool = False) -> Callable:
    """Make the function of a graph as PyTensor's Numba linker does; all outputs are arrays, whatever `numbers` is."""
    with _for_scans(_RIGHT_STEPS):
        return numba_funcify(fgraph)


def _call(node: Apply) -> Operation:
    with _for_scans(_OUR_STEPS):
        return call_of(foreign_form(node), len(node.outputs))


def _finished(order: Sequence[Apply], outputs: Sequence[Variable]) -> dict[Apply, list[Variable]]:
    """For each node the results, its own or of nodes before it, that neither a later node nor the caller needs."""
    finished: dict[Apply, list[Variable]] = {}
    needed = set(outputs)
    for node in reversed(order):
        seen = dict.fromkeys(v for v in (*node.inputs, *node.outputs) if v.owner is not None)
        finished[node] = [variable for variable in seen if variable not in needed]
        needed.update(seen)
    return finished


def _final_numbers(fgraph: FunctionGraph, operations: Mapping[Apply, Operation | None]) -> set[Variable]:
    """Outputs without axes that nothing in the graph reads, of operations that are ours."""
    return {
        variable
        for variable in fgraph.outputs
        if variable.type.ndim == 0
        and operations.get(variable.owner) is not None
        and not any(client in fgraph.apply_nodes for client, _ in fgraph.clients[variable])
    }


def _operation(node: Apply) -> Operation | None:
    return operation_of(node, step_program)


def _leaving(arrays: Sequence[Variable], operations: Mapping[Apply, Operation | None]) -> set[Variable]:
    """Variables whose memory some arrays may show, such as those that leave the function: what they may be views of.

    Of operations that are not ours, a result may be a view of any operand.
    """
    leaving: set[Variable] = set()
    stack = list(arrays)
    while stack:
        variable = stack.pop()
        if variable in leaving:
            continue
        leaving.add(variable)
        node = variable.owner
        if node is None:
            continue
        number = node.outputs.index(variable)
        shared = [*node.op.view_map.get(number, ()), *node.op.destroy_map.get(number, ())]
        stack += node.inputs if operations[node] is None else [node.inputs[i] for i in shared]
    return leaving


# What PyTensor's `Scan` calls for the step that it repeats.
_RIGHT_STEPS = {"get_mode": lambda mode: get_mode(mode).excluding(*WRONG_REWRITES)} if STEPS_HAVE_MODES else {}


_OUR_STEPS: dict[str, Callable] = {
    "numba_funcify_and_cache_key": lambda fgraph, **_: (graph_function(fgraph), None),
    **({"get_mode": lambda mode: step_mode()} if STEPS_HAVE_MODES else {}),
}


@contextmanager
def _for_scans(replacements: Mapping[str, Callable]) -> Iterator[None]:
    """Let PyTensor's `Scan` call these functions; the caller holds the lock of the compiler."""
    originals = {name: getattr(scan, name) for name in replacements}
    vars(scan).update(replacements)
    try:
        yield
    finally:
        vars(scan).update(originals)
