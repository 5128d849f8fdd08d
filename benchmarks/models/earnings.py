"""Earnings, their logarithm mostly, on height and sex: the seven regressions of posteriordb's `earnings`."""

import numpy as np
import pymc as pm

from benchmarks.models.linear import regression
from benchmarks.models.posteriordb import load_data


def build(form: str = "logearn_interaction") -> pm.Model:
    """Build the model of the Stan program called `form`: up to 5 parameters, 1192 observations."""
    data = load_data("earnings")
    earn, height, male = data["earn"], data["height"], data["male"]
    standard = (height - height.mean()) / height.std(ddof=1)
    outcome, predictors = {
        "earn_height": (earn.astype(float), [height]),
        "log10earn_height": (np.log10(earn), [height]),
        "logearn_height": (np.log(earn), [height]),
        "logearn_height_male": (np.log(earn), [height, male]),
        "logearn_interaction": (np.log(earn), [height, male, height * male]),
        "logearn_interaction_z": (np.log(earn), [standard, male, standard * male]),
        "logearn_logheight_male": (np.log(earn), [np.log(height), male]),
    }[form]
    return regression("earn" if form == "earn_height" else "log_earn", outcome, predictors)
