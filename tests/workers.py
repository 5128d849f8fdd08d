"""What tests ask of workers; imports nothing, because workers must not."""

import sys


def loaded_modules(_number: int) -> set[str]:
    """Names of the modules that this process has loaded."""
    return set(sys.modules)
