"""Functions that keep something of a fit, in a module that workers load without PyMC."""

import os


def mean(fit):
    """Keep the mean of mu."""
    return {"mean": fit.draws["mu"].mean()}


def ends(fit):
    """End the process."""
    os._exit(3)
