"""docs/operations.md: it is what was found, knows every operation and distribution, and still holds for a few."""

import inspect
import re
import warnings

import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest

from benchmarks.coverage import cases, page

LINE = pytensor.__version__.partition(".")[0]
FOUND = page.kept(LINE)["found"]

# Of each way that there is, what compiles fastest.
QUICK = ("pt.sign(x)", "pt.fill_diagonal(M, x[0])", "pt.choose(i, [x[:2], x[2:]])", "pt.sort(x)")
EVERY = 25


def words(text):
    return set(text.split())


# Functions that make variables, or graphs of what stands in the table.
TYPES = re.compile(
    r"[bcdfilwz]?(matrix|vector|scalar|row|col|tensor[3-7]|matrices|vectors|scalars|rows|cols|tensor[3-7]s)"
)
NO_OPERATION = words(
    """
    Union as_tensor as_tensor_variable atleast_Nd atleast_1d atleast_2d atleast_3d broadcast_shape constant
    default get_scalar_constant_value get_underlying_scalar_constant_value get_vector_length grad hessian is_flat
    jacobian make_slice none_type_t scalar_from_tensor singledispatch slice_at_axis slicetype
    specify_broadcastable tensor tensor_from_scalar transfer values_eq_approx_always_true shape second
    concat_with_broadcast
    """
)
# Other names of what stands there, and what has no numbers to take a gradient of.
SAME = words(
    """
    abs add and_ angle bitwise_and bitwise_not bitwise_or bitwise_xor conj conjugate imag isfinite isneginf
    isposinf complex_from_polar equal extract_diag float_div greater greater_equal gt identity identity_like
    int_div inner iround join largest less less_equal lt matrix_transpose mod mul neg not_equal ones or_ pow power
    psi smallest sub switch true_div triu_indices_from zeros empty le ge set_subtensor inc_subtensor
    batched_tensordot floor_div reciprocal ndtri_exp dense_dot xlogy square pivot_to_permutation
    """
)
NO_DENSITY = {"Continuous", "Discrete", "Distribution", "SymbolicRandomVariable"}


def public(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = getattr(module, "__all__", None) or [name for name in dir(module) if not name.startswith("_")]
        for name in names:
            made = getattr(module, name, None)
            home = getattr(made, "__module__", None) or type(made).__module__
            if callable(made) and not inspect.isclass(made) and home.startswith("pytensor"):
                yield name


def listed():
    return "\n".join(each for subject in cases.expressions().values() for each in subject)


def test_the_page_is_what_was_found():
    assert page.PAGE.read_text() == page.text(), "run `python -m benchmarks.coverage`"


@pytest.mark.parametrize("line", page.LINES)
def test_nearly_everything_was_tried_on_each_line(line):
    subjects = cases.expressions() | cases.distributions()
    listed = [each for subject in subjects.values() for each in subject]
    found = list(page.kept(line)["found"])
    assert found == [each for each in listed if each in found] and len(found) > 0.8 * len(listed)


@pytest.mark.parametrize("line", page.LINES)
def test_nothing_is_wrong(line):
    found = page.kept(line)["found"]
    assert [written for written, (way, _) in found.items() if way == "WRONG"] == []


@pytest.mark.parametrize("line", page.LINES)
def test_of_distributions_only_a_simulator_runs_in_python(line):
    found = page.kept(line)["found"]
    in_python = [written for written, (way, _) in found.items() if way == "Python" and written.startswith("pm.")]
    assert all("pm.Simulator" in written for written in in_python)


@pytest.mark.parametrize("module", [pt, pt.linalg, pt.special, pt.signal], ids=lambda module: module.__name__)
def test_every_function_of_pytensor_is_in_the_table(module):
    names = {name for name in public(module) if not TYPES.fullmatch(name)} - NO_OPERATION - SAME
    assert {name for name in names if not re.search(rf"\b{name}\(", listed())} == set()


def test_every_distribution_of_pymc_is_in_the_table():
    text = "\n".join(each for subject in cases.distributions().values() for each in subject)
    names = {name for name in pm.distributions.__all__ if name[0].isupper()} - NO_DENSITY
    assert {name for name in names if f"pm.{name}(" not in text} == set()


def tried(written):
    from benchmarks.coverage.trial import try_distribution, try_expression

    return list((try_distribution if written.startswith("pm.") else try_expression)(written))


@pytest.mark.parametrize("written", QUICK)
def test_the_page_still_holds(written):
    assert tried(written) == FOUND[written], "run `python -m benchmarks.coverage`"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(0, len(FOUND), EVERY))
def test_the_page_still_holds_here_and_there(number):
    written = list(FOUND)[number]
    assert tried(written) == FOUND[written]
