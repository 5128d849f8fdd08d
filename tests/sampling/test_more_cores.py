"""More cores asked for than there are: the run is made, and a sentence says so."""

import os

import zoo

from nutmill import sample_numba
from nutmill.layout.machine.topology import topology

OPTIONS = {"draws": 20, "tune": 20, "random_seed": 1, "progressbar": False, "compute_convergence_checks": False}


def test_more_cores_than_there_are_give_a_warning(caplog):
    n_cores = topology(affinity=sorted(os.sched_getaffinity(0))).n_cores
    sample_numba(zoo.compiled("regression"), chains=n_cores + 1, cores=n_cores + 1, **OPTIONS)
    assert f"cores={n_cores + 1}, but this process may compute with {n_cores}: chains share them." in caplog.text
    caplog.clear()
    sample_numba(zoo.compiled("regression"), chains=1, cores=64, **OPTIONS)
    assert "share" not in caplog.text  # one chain takes one
