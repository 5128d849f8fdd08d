"""A run folder remembers with which BLAS library its draws were made, by the content of its file."""

import json

import zoo

from nutmill import Layout, compile_model, resume, sample_numba
from nutmill.checkpoint.manifest import read_manifest, write_manifest
from nutmill.layout.blas.find import find_blas


def test_a_run_remembers_which_library_of_a_name_it_was_begun_with(model_cache, tmp_path, caplog):
    path, quiet = tmp_path / "run", {"progressbar": False, "compute_convergence_checks": False}
    process = compile_model(zoo.gaussian_process())
    sample_numba(process, draws=20, tune=30, chains=1, layout=Layout(1, 1, "openblas"), checkpoint=path, **quiet)
    manifest = read_manifest(path)
    (made_with,) = manifest["blas"]
    assert made_with == {"library": "openblas", "threads": 1, "digest": find_blas("openblas").digest}
    assert json.loads(resume(path, progressbar=False).attrs["cpu_layout"])["notes"] == []
    made_with["digest"] = "0123456789abcdef"
    write_manifest(path, manifest)
    result = resume(path, draws=25, progressbar=False)
    assert "openblas is another library than the one that the run was begun with (file 01234567, now " in caplog.text
    (note,) = json.loads(result.attrs["cpu_layout"])["notes"]
    assert note.startswith(
        "The draws were made with different BLAS libraries: 1 of openblas (file 01234567) then 1 of "
    )
