"""What is written and read again, for values that nobody thought of: they come back, or are refused in words."""

import hashlib
import json
import math
import string

import numpy as np
import pymc as pm
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import array_shapes
from scipy import stats

from nutmill import Layout, LayoutError, ModelError, compile_model
from nutmill.cli.options import TARGETS, read_chain_ids, read_seconds, read_targets
from nutmill.layout.machine.system_files import cpus_from_text
from nutmill.native.container import MAGIC, Damaged, Header, pack, unpack
from nutmill.units import ranges

# The same examples each time, so that a change that breaks nothing never fails; no limit of time.
tried = settings(max_examples=60, derandomize=True, deadline=None, database=None)

CPUS = some.sets(some.integers(0, 200))
# Texts of the right letters reach further than any text.
TYPED = some.text(some.sampled_from(string.digits + "-,. dhmsx=\n"), max_size=12)
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@tried
@given(CPUS)
def test_lists_of_cpus_come_back(cpus):
    assert cpus_from_text(ranges(sorted(cpus))) == cpus


@tried
@given(TYPED)
def test_any_text_is_a_list_of_cpus_or_none(text):
    try:
        found = cpus_from_text(text)
    except ValueError:
        return
    assert cpus_from_text(ranges(sorted(found))) == found


@tried
@given(CPUS.filter(bool))
def test_chain_ids_are_written_as_cpus_are(ids):
    assert read_chain_ids(ranges(sorted(ids))) == sorted(ids)


@tried
@given(some.lists(some.integers(0, 99), min_size=4, max_size=4).filter(any), some.lists(some.booleans(), min_size=4))
def test_parts_of_a_duration_are_added(numbers, are_said):
    parts = zip(numbers, "dhms", (86400, 3600, 60, 1), are_said, strict=False)
    said = [(number, unit, unit_s) for number, unit, unit_s, is_said in parts if is_said or number]
    expected = sum(number * unit_s for number, _, unit_s in said)
    assert read_seconds("".join(f"{number}{unit}" for number, unit, _ in said)) == expected


@tried
@given(TYPED)
@example("9" * 400)
@example("9" * 400 + "d")
def test_any_text_is_a_duration_or_none(text):
    try:
        assert 0.0 < read_seconds(text) < math.inf
    except ValueError as error:
        assert "\n" not in str(error)


@tried
@given(
    some.dictionaries(some.sampled_from(TARGETS), some.floats(1.0, exclude_min=True, allow_infinity=False), min_size=1)
)
def test_targets_come_back(wanted):
    assert read_targets(",".join(f"{name}={value!r}" for name, value in wanted.items())) == wanted


LAYOUTS = some.builds(
    Layout,
    some.integers(1, 1 << 20),
    some.integers(1, 1 << 20),
    some.none() | some.text(min_size=1),
)


@tried
@given(LAYOUTS)
def test_layouts_come_back(layout):
    assert Layout.from_dict(json.loads(json.dumps(layout.as_dict()))) == layout


@tried
@given(JSON | some.fixed_dictionaries({"chains_at_once": JSON}, optional={"blas_threads": JSON, "blas": JSON}))
def test_anything_else_is_no_layout(document):
    try:
        layout = Layout.from_dict(document)
    except LayoutError as error:
        assert "\n" not in str(error)
        return
    assert {name: layout.as_dict()[name] for name in document} == document


HEADERS = some.builds(
    Header,
    some.text(max_size=5),
    some.text(max_size=5),
    some.dictionaries(some.text(max_size=5), some.text(max_size=5), max_size=3),
    some.text(),
    some.dictionaries(some.text(max_size=5), some.integers() | some.text(max_size=5), max_size=3),
    some.just([]),
)
PARTS = some.dictionaries(some.text(max_size=5), some.binary(max_size=50), max_size=3)


@tried
@given(HEADERS, PARTS)
def test_files_of_code_come_back(header, parts):
    found, found_parts = unpack(pack(header, parts))
    assert found_parts == parts
    assert found == header._replace(sizes=[[name, len(part)] for name, part in parts.items()])


@tried
@given(HEADERS, PARTS, some.data())
def test_a_file_of_code_with_one_byte_changed_or_cut_off_is_damaged(header, parts, data):
    content = pack(header, parts)
    place = data.draw(some.integers(0, len(content) - 1), label="place")
    change = data.draw(some.integers(1, 255), label="change")
    for damaged in (content[:place], content[:place] + bytes([content[place] ^ change]) + content[place + 1 :]):
        with pytest.raises(Damaged):
            unpack(damaged)


@tried
@given(some.fixed_dictionaries({name: JSON for name in Header._fields}) | JSON, some.binary(max_size=9))
def test_a_header_of_anything_is_read_or_damaged(document, body):
    """The checksum fits, as if another program had written the file."""
    rest = json.dumps(document).encode() + b"\n" + body
    try:
        header, parts = unpack(MAGIC + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)
    except Damaged:
        return
    assert [list(pair) for pair in header.sizes] == [[name, len(part)] for name, part in parts.items()]


@pytest.fixture(scope="module")
def line():
    with pm.Model() as model:
        x = pm.Data("x", np.zeros((2, 3)))
        slopes = pm.Normal("slopes", shape=3)
        pm.Normal("y", x @ slopes, 1.0, observed=pm.Data("y_data", np.zeros(2)))
    return compile_model(model)


def fits(x: tuple[int, ...], y: tuple[int, ...]) -> bool:
    return len(x) == 2 and x[1] == 3 and y == x[:1]


@tried
@given(array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4), some.lists(some.integers(0, 4), max_size=2))
def test_data_of_any_shape_are_taken_as_they_are_or_refused(line, x, y):
    at, rng = np.array([0.5, -1.0, 2.0]), np.random.default_rng(1)
    for wanted in ((x, tuple(y)), (x, x[:1]), ((*x[:1], 3), x[:1])):
        given_x, given_y = (rng.normal(size=shape) for shape in wanted)
        try:
            found = line.with_data(x=given_x, y_data=given_y).logp_dlogp(at)[0]
        except ModelError as error:
            assert not fits(*wanted) and "\n" not in str(error)
            continue
        assert fits(*wanted)
        expected = stats.norm.logpdf(at).sum() + stats.norm.logpdf(given_y, given_x @ at).sum()
        assert found == pytest.approx(expected, rel=1e-12)
