"""BLAS libraries of this machine: found, recognised, called at their addresses; and files that are none."""

import _ctypes
import ctypes
import hashlib
import importlib.util
import os
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from layout.fortran import MATRIX, factor, product
from layout.made_up import BLIS_LIKE, MKL_LIKE, MadeUpLibrary, narrow_dot, wide_dot
from threadpoolctl import threadpool_info

from nutmill.errors import LayoutError
from nutmill.layout.applied import apply_layout
from nutmill.layout.blas import find as blas
from nutmill.layout.blas import library as blas_library
from nutmill.layout.blas import library_files as blas_places
from nutmill.layout.blas.find import find_blas, installed_blas, scipy_blas, survey_blas
from nutmill.layout.blas.library import open_library
from nutmill.layout.blas.trial import Trial
from nutmill.layout.layout import Layout

# Errors of a product in the order of summation: the same sum in another order.
ROUNDING = 300 * np.finfo(float).eps * np.abs(MATRIX) @ np.abs(MATRIX)


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """Give a function that makes a path which loads as a library of the symbols given."""

    def make(symbols):
        monkeypatch.setattr(blas_library, "load", lambda path: MadeUpLibrary(symbols))
        monkeypatch.setattr(blas, "tried", lambda path, runtimes: Trial({"integer_bits": 32}))
        path = tmp_path / "libmadeup.so"
        path.touch()
        return str(path)

    return make


def mapping_of(address):
    """File of this process's memory at an address."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if first <= address < last:
            return os.path.realpath(line.split(maxsplit=5)[5])
    raise AssertionError("not mapped")


def packaged():
    """The library of the package scipy-openblas32."""
    (folder,) = importlib.util.find_spec("scipy_openblas32").submodule_search_locations
    return os.path.join(folder, "lib", "libscipy_openblas.so")


def test_scipys_library_is_the_one_behind_cython_blas():
    library = scipy_blas()
    (known,) = (info for info in threadpool_info() if info["filepath"] == library.path)
    assert (library.name, library.version, library.layer) == (
        known["internal_api"],
        known["version"],
        known["threading_layer"],
    )
    assert mapping_of(library.address("dgemm")) == mapping_of(library.address("dpotrf")) == library.path
    # cython_blas itself has to be linked to that file: the loader finds the name from there.
    module = ctypes.CDLL(scipy.linalg.cython_blas.__file__)
    bound = ctypes.cast(module[library.spelling.format("dgemm")], ctypes.c_void_p).value
    assert bound == library.address("dgemm")


def test_addresses_are_fortran_routines():
    spd = MATRIX @ MATRIX.T + 300 * np.eye(300)
    for library in installed_blas():
        assert np.all(np.abs(product(library) - MATRIX @ MATRIX) <= ROUNDING)
        np.testing.assert_allclose(factor(library, spd), np.linalg.cholesky(spd), rtol=1e-10)


def test_threads_are_read_and_set():
    library = scipy_blas()
    before = library.get_threads()
    try:
        for count in (1, 2):
            library.set_threads(count)
            (known,) = (info for info in threadpool_info() if info["filepath"] == library.path)
            assert library.get_threads() == known["num_threads"] == count
    finally:
        library.set_threads(before)
    assert library.can_limit
    assert library.max_threads >= 2


def test_installed_libraries_and_those_with_wide_integers():
    libraries, _, wide = survey_blas()
    assert libraries[0] is scipy_blas()
    assert len({library.path for library in libraries}) == len(libraries)
    assert packaged() in {library.path for library in libraries}
    known = [info["filepath"] for info in threadpool_info() if "64_" in info["filepath"]]
    assert known, "NumPy's own library has 64-bit integers"
    for path in known:
        assert path not in {library.path for library in libraries}
        (facts,) = (facts for facts in wide if facts["path"] == path)
        assert facts["integer_bits"] == 64 and facts["name"] == "openblas" and facts["version"].startswith("0.3.")
        with pytest.raises(LayoutError, match=r"is a BLAS with 64-bit integers \(ILP64\)"):
            find_blas(path)


def test_libraries_tell_what_code_they_run():
    for library in installed_blas():
        (known,) = (info for info in threadpool_info() if info["filepath"] == library.path)
        assert library.architecture == known["architecture"]
        assert library.digest == hashlib.sha256(Path(library.path).read_bytes()).hexdigest()


def test_another_openblas_goes_before_scipys():
    library = find_blas("openblas")
    assert library is find_blas("openblas")
    assert (library.name, library.path) == ("openblas", packaged())
    assert library.address("dgemm") != scipy_blas().address("dgemm")
    assert re.match(r"0\.3\.\d+", library.version)
    assert library.version in library.label
    assert set(library.as_dict()) == {"name", "version", "architecture", "layer", "path", "origin"}


def test_scipys_serves_where_there_is_no_other(monkeypatch):
    monkeypatch.setattr(blas, "places", list)
    assert find_blas.__wrapped__("openblas") is scipy_blas()
    assert find_blas.__wrapped__(None) is find_blas.__wrapped__("scipy") is scipy_blas()


def test_path_of_scipys_own_library_is_that_library():
    assert find_blas(scipy_blas().path) is scipy_blas()


@pytest.mark.parametrize("name", ["mkl", "vecmat"])
def test_unknown_names_get_a_list(name, monkeypatch):
    monkeypatch.setattr(blas_places, "_from_prefixes", lambda: iter(()))
    monkeypatch.setattr(blas_places, "_from_system", lambda: iter(()))
    with pytest.raises(LayoutError, match=f"No BLAS called '{name}' is installed") as error:
        find_blas.__wrapped__(name)
    for library in installed_blas():
        assert library.label in str(error.value)
    assert ("names are mkl, openblas, blis" in str(error.value)) == (name == "vecmat")


def test_broken_library_of_that_name_is_reported(tmp_path, monkeypatch):
    broken = tmp_path / "libmkl_rt.so.2"
    broken.write_text("not a library")
    monkeypatch.setattr(blas_places, "_from_prefixes", lambda: blas_places._in_folder(tmp_path, "here"))
    monkeypatch.setattr(blas_places, "_from_system", lambda: iter(()))
    with pytest.raises(LayoutError, match=r"No BLAS called 'mkl'.*libmkl_rt\.so\.2 cannot be loaded"):
        find_blas.__wrapped__("mkl")


def test_paths_that_are_no_blas(tmp_path):
    text = tmp_path / "text.so"
    text.write_text("hello")
    with pytest.raises(LayoutError, match=r"/nowhere\.so: the file does not exist"):
        find_blas(str(tmp_path / "nowhere.so"))
    with pytest.raises(LayoutError, match=r"text\.so cannot be loaded as a library: .*(ELF|file too short)"):
        find_blas(str(text))
    with pytest.raises(LayoutError, match="is no BLAS: it has no routine ddot"):
        find_blas(_ctypes.__file__)


def test_wide_integers_are_told_even_without_a_name_that_says_so(made_up):
    with pytest.raises(LayoutError, match=r"libmadeup\.so is a BLAS with 64-bit integers"):
        find_blas(made_up({"ddot_": wide_dot}))


def test_what_a_library_lacks_comes_from_scipys(made_up):
    library = find_blas(made_up(BLIS_LIKE))
    assert (library.name, library.version, library.layer) == ("blis", "9.8.7", "sequential")
    assert library.address("dpotrf") == scipy_blas().address("dpotrf")
    assert library.address("ddot") == ctypes.cast(narrow_dot, ctypes.c_void_p).value
    (note,) = library.notes
    assert "has no LAPACK" in note
    assert scipy_blas().label in note
    assert not library.can_limit
    assert library.get_threads() is None
    with pytest.raises(LayoutError, match=r"blis 9\.8\.7 .* cannot be limited"):
        library.set_threads(1)


def test_unknown_routines():
    with pytest.raises(LayoutError, match="has no routine 'dgemmm'"):
        scipy_blas().address("dgemmm")
    with pytest.raises(LayoutError, match="has no routine 'dgemmm'"):
        find_blas("openblas").address("dgemmm")


def test_no_blas_behind_scipy(monkeypatch):
    def nothing(path, origin, fallback=None):
        raise LayoutError(f"{path} is no BLAS.")

    monkeypatch.setattr(blas, "open_library", nothing)
    with pytest.raises(LayoutError, match=r"^No BLAS was found behind SciPy: .*cython_blas.* is no BLAS"):
        scipy_blas.__wrapped__()
    monkeypatch.setattr(blas, "scipy_blas", scipy_blas.__wrapped__)
    assert blas._scipy_or_none() is None


def test_library_opened_for_itself_has_no_fallback(made_up):
    library = open_library(made_up(BLIS_LIKE), "made here")
    assert library.notes == ()
    with pytest.raises(LayoutError, match="has no routine 'dpotrf'"):
        library.address("dpotrf")


def test_mkl_is_asked_by_its_c_names(made_up):
    library = find_blas(made_up(MKL_LIKE))
    assert (library.name, library.version, library.layer) == ("mkl", "2026.2", "gnu")
    assert library.threads.of_calling_thread
    before = library.get_threads()
    library.set_threads(before + 3)
    assert library.get_threads() == before + 3
    library.set_threads(before)


def test_mkl_is_kept_from_choosing_fewer_threads(made_up):
    library = find_blas(made_up(MKL_LIKE))
    dynamic = MKL_LIKE["MKL_Get_Dynamic"]
    assert dynamic() == 1
    with pytest.raises(KeyError), apply_layout(Layout(1, blas=library.path)):
        assert dynamic() == 0
        raise KeyError
    assert dynamic() == 1
    assert scipy_blas().dynamic is None
