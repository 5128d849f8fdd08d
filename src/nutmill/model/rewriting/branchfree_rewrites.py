"""Replaces scalar functions that PyTensor compiles with jumps or calls of SciPy by branch-free ones."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from pytensor.graph.rewriting.basic import GraphRewriter, copy_stack_trace, dfs_rewriter, node_rewriter
from pytensor.link.numba.dispatch.basic import register_funcify_and_cache_key
from pytensor.scalar.basic import ScalarOp, upgrade_to_float
from pytensor.scalar.math import Erfcx, GammaLn, Log1mexp, PolyGamma, Psi, Sigmoid, Softplus, TriGamma
from pytensor.tensor.basic import cast
from pytensor.tensor.elemwise import Elemwise

from nutmill.model.graphs.hierarchies.widths import InverseWidth, LogWidth
from nutmill.model.graphs.properties import is_known
from nutmill.model.rewriting import branchfree, error_function, gamma

# PyTensor keeps compiled ops on disk; the key follows every change of the functions' source.
_SOURCES = b"".join(Path(str(module.__file__)).read_bytes() for module in (branchfree, error_function, gamma))
_VERSION = hashlib.sha256(_SOURCES).hexdigest()


class BranchFree(ScalarOp):
    """A function of a float64 or float32, and of integers before it, of which no gradient is taken any more."""

    nin = 1
    function: ClassVar[Callable]

    def impl(self, *operands):
        """Value at Python numbers, for callers outside Numba."""
        return self.function(*operands)

    def supports_c_code(self, inputs, outputs):
        """Tell PyTensor's fusion yes: it asks for C code even where Numba is to compile the fused loop."""
        return True

    def c_code(self, node, name, inputs, outputs, sub):
        """Name the function: PyTensor 2 tells fused loops apart by their C text, which is never compiled here."""
        return f"{outputs[0]} = {type(self).__name__}({', '.join(inputs)});"


class BranchFreeSigmoid(BranchFree):
    """Logistic function."""

    function = staticmethod(branchfree.sigmoid)


class BranchFreeSoftplus(BranchFree):
    """log(1 + exp(x))."""

    function = staticmethod(branchfree.softplus)


class BranchFreeLog1mexp(BranchFree):
    """log(1 - exp(x))."""

    function = staticmethod(branchfree.log1mexp)


class BranchFreeErfcx(BranchFree):
    """exp(x^2) erfc(x)."""

    function = staticmethod(error_function.erfcx)


class BranchFreeLogGamma(BranchFree):
    """Logarithm of the gamma function."""

    function = staticmethod(gamma.log_gamma)


class BranchFreeDigamma(BranchFree):
    """Derivative of the logarithm of the gamma function."""

    function = staticmethod(gamma.digamma)


class BranchFreeTrigamma(BranchFree):
    """Second derivative of the logarithm of the gamma function."""

    function = staticmethod(gamma.trigamma)


class BranchFreePolygamma(BranchFree):
    """Derivative of a given order of the digamma function."""

    nin = 2
    function = staticmethod(gamma.polygamma)


_REPLACEMENTS = {
    Sigmoid: Elemwise(BranchFreeSigmoid(upgrade_to_float)),
    Softplus: Elemwise(BranchFreeSoftplus(upgrade_to_float)),
    Log1mexp: Elemwise(BranchFreeLog1mexp(upgrade_to_float)),
    Erfcx: Elemwise(BranchFreeErfcx(upgrade_to_float)),
    GammaLn: Elemwise(BranchFreeLogGamma(upgrade_to_float)),
    Psi: Elemwise(BranchFreeDigamma(upgrade_to_float)),
    TriGamma: Elemwise(BranchFreeTrigamma(upgrade_to_float)),
    PolyGamma: Elemwise(BranchFreePolygamma(upgrade_to_float)),
}


@register_funcify_and_cache_key(BranchFree)
def _funcify(op, node, **_):
    key = hashlib.sha256(f"{type(op)} {_VERSION}".encode()).hexdigest()
    return op.function, key


@register_funcify_and_cache_key(InverseWidth)
def _funcify_inverse_width(op, node, **_):
    return branchfree.inverse_width, f"{_VERSION} inverse width"


@register_funcify_and_cache_key(LogWidth)
def _funcify_log_width(op, node, **_):
    return branchfree.log_width, f"{_VERSION} log width"


def branch_free_rewriter() -> GraphRewriter:
    """Make the rewriter that replaces functions of floating point by forms that vectorise and need nothing of Python.

    Run it after `specialize`, which knows PyTensor's own ops only, and before elementwise fusion (48). Integers are
    cast; other dtypes are left as they are.
    """
    return dfs_rewriter(_to_branch_free)


@node_rewriter([Elemwise])
def _to_branch_free(fgraph, node):
    replacement = _REPLACEMENTS.get(type(node.op.scalar_op))
    dtype = node.outputs[0].type.dtype
    if replacement is None or dtype not in ("float64", "float32") or not is_known(node.op):
        return None
    *integers, x = node.inputs
    result = replacement(*integers, x if x.type.dtype == dtype else cast(x, dtype))
    copy_stack_trace(node.outputs[0], result)
    return [result]
