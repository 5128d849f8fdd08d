"""What tests ask of workers; imports nothing, because workers must not."""

import os
import sys


def loaded_modules(_number: int) -> set[str]:
    """Names of the modules that this process has loaded."""
    return set(sys.modules)


def n_models() -> int:
    """How many compiled models this process keeps."""
    from nutmill.sampling.executor import worker as remote

    return len(remote._models._models)


def job_and_process() -> tuple[str, int]:
    """The job of Slurm that this process belongs to, and its id."""
    return os.environ["SLURM_JOB_ID"], os.getpid()
