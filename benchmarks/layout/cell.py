"""Measures the layouts of one compiled model, in a process of its own: a sweep, and all of them equally often."""

import json
import sys
import time
from pathlib import Path

from benchmarks import models
from benchmarks.layout.exhaustive import exhaustive_sweep


def main(request: str, answer: str) -> None:
    """Sweep what the JSON text `request` asks for, and write what was measured to the file `answer`."""
    import nutmill
    from nutmill.layout.machine.topology import topology
    from nutmill.layout.search.burst import Bench
    from nutmill.layout.search.candidates import Job, candidates
    from nutmill.sampling.layout_workload import Gradients

    cell = json.loads(request)
    machine = topology()
    compiled = nutmill.compile_model(models.build(cell["model"]))
    options = {"chains": cell["chains"], "topology": machine, "keep": False, "use_profile": False}
    begin = time.perf_counter()
    found = nutmill.find_layout(compiled, budget_s=cell["budget"], **options)
    sweep_s = time.perf_counter() - begin
    measure, job = Bench(Gradients(compiled), machine).measure, Job(cell["chains"], machine.n_cores)
    libraries = [library.blas for library in found.profile.libraries]
    layouts = candidates(machine, job.chains, blas=libraries)
    every = exhaustive_sweep(measure, layouts, job, repeats=cell["repeats"])
    rows = [row._asdict() | {"layout": row.layout.as_dict()} for row in every.table()]
    measured = {
        "n_cores": machine.n_cores,
        "sweep_s": sweep_s,
        "n_measured": len(found.profile.sweep.measurements),
        "chosen": found.layout.as_dict(),
        "confidence": found.profile.sweep.confidence,
        "routines": compiled.code.native.blas_routines,
        "every": rows,
        "others": every.others,
    }
    Path(answer).write_text(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
