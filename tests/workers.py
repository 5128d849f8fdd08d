"""What tests ask of workers; imports nothing, because workers must not."""

import sys


def loaded_modules(_number: int) -> set[str]:
    """Names of the modules that this process has loaded."""
    return set(sys.modules)


def n_models() -> int:
    """How many compiled models this process keeps."""
    from nutmill import remote

    return len(remote._models._models)
