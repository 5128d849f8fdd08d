"""BLAS libraries are tried in a process of their own: those that crash, hang or err are left out with a sentence."""

import re
import shutil
import subprocess

import pytest

from nutmill.errors import LayoutError
from nutmill.layout.blas import find as blas
from nutmill.layout.blas import library_files as blas_places
from nutmill.layout.blas import trial
from nutmill.layout.blas.find import find_blas, scipy_blas, survey_blas
from nutmill.layout.blas.identity import BlasElsewhere, BlasIdentity, libraries_to_try
from nutmill.layout.blas.library_files import LibraryFile, places

DOT = """
double ddot_(int *n, double *x, int *dx, double *y, int *dy)
{ double sum = 0; for (int i = 0; i < *n; i++) sum += x[i] * y[i]; return sum; }
"""
PRODUCT = """
void dgemm_(char *ta, char *tb, int *m, int *n, int *k, double *alpha, double *a, int *la, double *b, int *lb,
            double *beta, double *c, int *lc)
{ for (int i = 0; i < *m; i++) for (int j = 0; j < *n; j++) {
    double sum = 0;
    for (int l = 0; l < *k; l++)
      sum += (*ta == 'N' ? a[i + l * *la] : a[l + i * *la]) * (*tb == 'N' ? b[l + j * *lb] : b[j + l * *lb]);
    c[i + j * *lc] = *alpha * sum + (*beta ? *beta * c[i + j * *lc] : 0); } }
"""
# Libraries that look like a BLAS, and what is wrong with each.
BROKEN = {
    "crash": (DOT + "void dgemm_(void) { *(volatile int *)0 = 1; }", r"was tried and ended the process by SIGSEGV"),
    "exit": (
        '#include <stdio.h>\n#include <stdlib.h>\nvoid dgemm_(void) { fputs("No licence.\\n", stderr); exit(3); }'
        + DOT,
        r"was tried and ended the process with exit code 3: No licence, so it is not used\.",
    ),
    "wrong": (DOT + "void dgemm_(void) {}", r"was tried and its dgemm gives wrong products, so it is not used"),
    "lacking": (DOT, r"has no routine 'dgemm'"),
    "hang": (DOT + "void dgemm_(void) { for (;;) ; }", r"was tried and did not answer within 3 s"),
    "wide": (DOT.replace("int *", "long *"), r"is a BLAS with 64-bit integers \(ILP64\)"),
    "empty": ("int nothing;", r"is no BLAS: it has no routine ddot"),
}


@pytest.fixture
def built(tmp_path):
    """Give a function that compiles a shared library and returns its path."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")

    def build(source, name="libmade.so"):
        path = tmp_path / name
        subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", path, "-"], input=source, text=True, check=True)
        return str(path)

    return build


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_is_left_out_with_a_sentence_and_does_no_harm(built, kind, monkeypatch):
    source, sentence = BROKEN[kind]
    path = built(source)
    monkeypatch.setattr(trial, "_LONGEST_S", 3.0 if kind == "hang" else 60.0)
    with pytest.raises(LayoutError, match=f"^{re.escape(path)} {sentence}" if kind != "lacking" else sentence):
        find_blas(path)


def test_what_is_sound_is_used_and_what_it_lacks_is_scipys(built):
    library = find_blas(built(DOT + PRODUCT))
    assert (library.name, library.version, library.integer_bits) == ("blas", None, 32)
    assert library.address("dgemm") != scipy_blas().address("dgemm")
    assert library.address("dpotrf") == scipy_blas().address("dpotrf")
    assert "has no LAPACK" in library.notes[0]


def test_a_survey_tells_of_the_broken_and_goes_on(built, monkeypatch):
    path = built(BROKEN["crash"][0])
    around = places()
    monkeypatch.setattr(blas, "places", lambda: [*around, LibraryFile(path, "here")])
    survey = survey_blas()
    assert path not in {library.path for library in survey.libraries} and scipy_blas() in survey.libraries
    assert any(
        sentence.startswith(f"{path} was tried and ended the process by SIGSEGV") for sentence in survey.left_out
    )
    libraries, left_out = libraries_to_try()
    assert libraries[0].blas is None and libraries[0].path == scipy_blas().path
    assert [sentence for sentence in left_out if path in sentence]


def test_a_library_that_cannot_be_limited_is_tried_only_where_it_is_named(built, monkeypatch):
    path = built(DOT + PRODUCT)
    monkeypatch.setattr(blas, "places", lambda: [LibraryFile(path, "here")])
    libraries, left_out = libraries_to_try()
    assert path not in {library.path for library in libraries}
    assert any("its number of threads cannot be set" in sentence for sentence in left_out)
    named, _ = libraries_to_try([None, path])
    assert [library.blas for library in named] == [None, path]


def test_a_file_is_tried_once_in_each_of_its_states(built, monkeypatch):
    begun = []
    run = subprocess.run
    monkeypatch.setattr(trial.subprocess, "run", lambda *args, **options: begun.append(1) or run(*args, **options))
    path = built(BROKEN["wrong"][0])
    begun.clear()
    assert trial.tried(path).failure == trial.tried(path).failure
    assert len(begun) == 1
    built(DOT + PRODUCT + "int more;")
    assert trial.tried(path).failure is None


def test_libraries_of_the_loader(monkeypatch):
    listed = """\tlibopenblas.so.0 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libopenblas.so.0
\tlibopenblaso64.so.0 (libc6,x86-64) => /usr/lib64/libopenblaso64.so.0
\tlibblis.so.4 (libc6,x86-64) => /usr/lib/libblis.so.4
\tlibblas.so.3 (libc6,x86-64) => /usr/lib/libblas.so.3
\tlibblasphemy.so.3 (libc6,x86-64) => /usr/lib/libblasphemy.so.3
\tlibc.so.6 (libc6,x86-64) => /usr/lib/libc.so.6
"""
    monkeypatch.setattr(blas_places, "_known_to_loader", lambda: listed)
    found = [path for path, _ in blas_places._from_system()]
    assert found == [line.split("=> ")[1] for line in listed.splitlines()[:4]]


def test_the_same_library_is_found_again_wherever_it_lies(built):
    path = built(DOT + PRODUCT)
    known = BlasIdentity.of(find_blas(path))
    assert BlasIdentity.from_dict(known._asdict()) == known
    assert known.found_here() == path
    gone = known._replace(blas="/nowhere/libmade.so")
    assert gone.found_here() == path


def test_another_library_of_that_name_is_another():
    (known,) = libraries_to_try(["openblas"])[0]
    with pytest.raises(
        BlasElsewhere, match=r"^openblas 0\.2\.0 \(.*\) is not here: what is here is openblas 0\.3.*, of other"
    ):
        known._replace(version="0.2.0").found_here()
    with pytest.raises(BlasElsewhere, match=r"is not here: what is here is openblas .*of other content"):
        known._replace(digest="0" * 64).found_here()
    with pytest.raises(BlasElsewhere, match="ran code for Prescott then, and runs code for"):
        known._replace(architecture="Prescott").found_here()
    mkl = BlasIdentity("/nowhere/mkl.so", "mkl", "2019.1", None, "0" * 64, "/nowhere/mkl.so")
    with pytest.raises(BlasElsewhere, match=r"^mkl 2019\.1 \(/nowhere/mkl\.so\) is not here\.$"):
        mkl.found_here()


@pytest.mark.parametrize("damage", [{"digest": 3}, {"version": None}])
def test_damaged_identities(damage):
    (known,) = libraries_to_try([None])[0]
    with pytest.raises(TypeError):
        BlasIdentity.from_dict(known._asdict() | damage)
