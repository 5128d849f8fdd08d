"""Measures data of another size in a compiled regression, given to it in the process that compiled it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.compiling.first_draw import LEAST
from benchmarks.models import regression
from nutmill import sample_numba
from nutmill.comparison.resources import timed

ROWS = 7_500


def main(request: str, answer: str) -> None:
    """Give other data to the sampler that the JSON text `request` names, draw once, write to `answer` what that took.

    The model has been compiled and sampled before; what is measured begins with `with_data`.
    """
    sampler = json.loads(request)["sampler"]
    sample, has_same_code = {"nutmill": with_nutmill, "nutpie": with_nutpie}[sampler]()
    sample({})
    data = regression.arrays(rows=ROWS)
    _, spent = timed(lambda: sample(data))
    Path(answer).write_text(json.dumps({"first_draw": spent._asdict(), "from_cache": has_same_code()}))


def with_nutmill() -> tuple[Callable[[dict], object], Callable[[], bool]]:
    """Compile with nutmill; return a function that samples with other data, and one that tells if code was kept."""
    import nutmill

    compiled = [nutmill.compile_model(regression.build(is_data_named=True))]

    def sample(data: dict) -> None:
        compiled.append(compiled[0].with_data(**data))
        quiet = {"progressbar": False, "compute_convergence_checks": False}
        sample_numba(compiled[-1], random_seed=1, **LEAST, **quiet)

    return sample, lambda: compiled[-1].code is compiled[0].code


def with_nutpie() -> tuple[Callable[[dict], object], Callable[[], bool]]:
    """Do the same with nutpie, which takes other data for what is `pm.Data`."""
    import nutpie

    compiled = [nutpie.compile_pymc_model(regression.build(is_data_named=True))]

    def sample(data: dict) -> None:
        compiled.append(compiled[0].with_data(**data))
        nutpie.sample(compiled[-1], seed=1, progress_bar=False, **LEAST)

    return sample, lambda: compiled[-1].compiled_logp_func is compiled[0].compiled_logp_func


if __name__ == "__main__":
    main(*sys.argv[1:])
