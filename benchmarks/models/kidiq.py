"""Children's test scores on the mother's schooling, IQ and work: posteriordb's `kidiq` and `kidiq_with_mom_work`."""

import pymc as pm

from benchmarks.models.linear import regression
from benchmarks.models.posteriordb import load_data


def build(form: str = "kidscore_interaction") -> pm.Model:
    """Build the model of the Stan program called `form`: up to 5 parameters, 434 observations."""
    data = load_data("kidiq_with_mom_work")
    hs, iq, work = data["mom_hs"], data["mom_iq"], data["mom_work"]
    raw = {
        "kidscore_momhs": [hs],
        "kidscore_momiq": [iq],
        "kidscore_momhsiq": [hs, iq],
        "kidscore_interaction": [hs, iq, hs * iq],
    }
    centred = {
        "kidscore_interaction_c": (hs - hs.mean(), iq - iq.mean()),
        "kidscore_interaction_c2": (hs - 0.5, iq - 100.0),
        "kidscore_interaction_z": (
            (hs - hs.mean()) / (2.0 * hs.std(ddof=1)),
            (iq - iq.mean()) / (2.0 * iq.std(ddof=1)),
        ),
    }
    if form in raw:
        return regression("kid_score", data["kid_score"], raw[form], noise_scale=2.5)
    if form == "kidscore_mom_work":
        return regression("kid_score", data["kid_score"], [(work == level).astype(float) for level in (2, 3, 4)])
    left, right = centred[form]
    return regression("kid_score", data["kid_score"], [left, right, left * right])
