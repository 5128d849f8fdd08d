"""The finished kernel: one object for all models, from the package, the cache, or compiled where both are of no use."""

import logging
import shutil
from pathlib import Path

import pytest
import zoo
from processes import output_of, start

from nutmill.model.lowering import kernel
from nutmill.native.object import symbols_of_numba, undefined_symbols
from nutmill.native.processor import for_all_models, target

HERE = for_all_models(target())

on_x86 = pytest.mark.skipif(not HERE.triple.startswith("x86_64"), reason="levels are those of x86-64")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The kernel for this processor, as a package brings it."""
    folder = tmp_path_factory.mktemp("written")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "SHIPPED", (HERE.name,))
        kernel.write_kernels(folder)
    return folder / f"{HERE.name}.kernel"


@pytest.fixture
def package(monkeypatch, tmp_path, written):
    """A package whose kernel for this processor was made of these sources; the path of that kernel."""
    monkeypatch.setattr(kernel, "_ROOT", tmp_path)
    (tmp_path / "kernels").mkdir()
    return Path(shutil.copy2(written, tmp_path / "kernels"))


def test_all_models_share_one_kernel_and_hold_none():
    one, other = zoo.compiled("regression"), zoo.compiled("scan", fuse=False)
    assert one.code.kernel is other.code.kernel is kernel.kernel_object(target())
    assert {one.binding.advance, one.binding.start, one.binding.pool} == {
        other.binding.advance, other.binding.start, other.binding.pool,
    }  # fmt: skip
    assert not one.code.native.address("advance") and one.code.native.address("density")


def test_the_kernel_calls_no_density_by_name():
    assert "nutmill_density" not in undefined_symbols(kernel.kernel_object(target()).code)


def test_the_kernel_needs_nothing_of_numba():
    """A kernel that did would call a null pointer in processes that never import Numba: workers, loaded files."""
    assert symbols_of_numba(kernel.kernel_object(target()).code) == []


@on_x86
def test_a_target_has_the_kernel_of_the_level_that_it_reaches():
    for name in ("x86-64", "x86-64-v2", "x86-64-v3"):
        assert for_all_models(target(name)).name == name
    assert set(HERE.features) <= set(target().features)


@on_x86
def test_the_package_brings_what_would_be_compiled_and_who_waits_for_that_is_reported(
    package, monkeypatch, tmp_path, cache_of_the_session, capfd
):
    for path in cache_of_the_session.glob("kernel-[0-9a-f]*.entry"):  # the bitcode, which takes longer still
        shutil.copy2(path, tmp_path)
    monkeypatch.setenv("NUTMILL_CACHE_DIR", str(tmp_path))
    compiled = kernel._compiled(HERE)
    assert capfd.readouterr() == ("", "Compiling the sampler, once per installation\n")
    assert kernel._compiled(HERE) == compiled
    assert capfd.readouterr() == ("", "")
    assert kernel._shipped(HERE) == compiled
    assert kernel._shipped(target("x86-64")) is None  # which nothing was made for


# Lets a process see no packages but those that `pyproject.toml` lists for building.
WITHOUT_THE_REST = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"arviz", "pandas", "pymc", "pytensor", "scipy", "threadpoolctl", "xarray"}:
            raise ModuleNotFoundError(f"no {name} while nutmill is built", name=name)

sys.meta_path.insert(0, Absent())
import nutmill.model.lowering.fuse, nutmill.model.lowering.kernel, nutmill.model.lowering.kernel_bitcode
"""


def test_what_a_build_installs_is_enough_to_compile_the_kernel():
    output_of(start(WITHOUT_THE_REST))


@on_x86
def test_a_kernel_of_other_sources_is_not_used(package, monkeypatch, caplog):
    monkeypatch.setattr(kernel, "_SOURCES", "edited")
    with caplog.at_level(logging.INFO, logger="nutmill"):
        assert kernel._shipped(HERE) is None
    assert "the sampler is compiled, because its sources have changed" in caplog.text


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {
    "a bit of its code": (lambda content: flip(content, -100 % len(content)), "its checksum does not fit"),
    "a bit of its header": (lambda content: flip(content, 120), "its checksum does not fit"),
    "its first bit": (lambda content: flip(content, 0), "it does not begin as a file of this version"),
    "its second half": (lambda content: content[: len(content) // 2], "its checksum does not fit"),
    "all of it": (lambda content: b"", "it does not begin as a file of this version"),
}


@on_x86
@pytest.mark.parametrize("lost", DAMAGES)
def test_a_damaged_kernel_is_not_used(package, caplog, lost):
    damage, reason = DAMAGES[lost]
    package.write_bytes(damage(package.read_bytes()))
    assert kernel._shipped(HERE) is None
    assert f"is not used, and the sampler is compiled: {reason}" in caplog.text


@on_x86
def test_a_folder_in_the_place_of_a_kernel_is_not_used(package, caplog):
    package.unlink()
    package.mkdir()
    assert kernel._shipped(HERE) is None
    assert "is not used, and the sampler is compiled: " in caplog.text


@on_x86
def test_a_kernel_for_another_processor_under_this_name_is_not_used(package, monkeypatch):
    monkeypatch.setattr(kernel, "_file_name", lambda made_for: package.name)
    assert kernel._shipped(target("x86-64")) is None
