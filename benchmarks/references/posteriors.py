"""The posteriors by posteriordb's names: which model of ours each one is."""

from collections.abc import Callable
from functools import partial

import pymc as pm

from benchmarks.models import (
    ark,
    arma11,
    blr,
    diamonds,
    earnings,
    eight_schools,
    elimination,
    garch,
    gauss_mix,
    gp_points,
    hidden_markov,
    kidiq,
    kilpisjarvi,
    lotka_volterra,
    mesquite,
    nes,
)

_FAMILIES = {
    "earnings": (
        earnings,
        (
            "earn_height",
            "log10earn_height",
            "logearn_height",
            "logearn_height_male",
            "logearn_interaction",
            "logearn_interaction_z",
            "logearn_logheight_male",
        ),
    ),
    "kidiq": (kidiq, ("kidscore_interaction", "kidscore_momhs", "kidscore_momhsiq", "kidscore_momiq")),
    "kidiq_with_mom_work": (
        kidiq,
        ("kidscore_interaction_c", "kidscore_interaction_c2", "kidscore_interaction_z", "kidscore_mom_work"),
    ),
    "mesquite": (
        mesquite,
        (
            "logmesquite",
            "logmesquite_logva",
            "logmesquite_logvas",
            "logmesquite_logvash",
            "logmesquite_logvolume",
            "mesquite",
        ),
    ),
}

POSTERIORS: dict[str, Callable[[], pm.Model]] = {
    **{f"{data}-{form}": partial(file.build, form) for data, (file, forms) in _FAMILIES.items() for form in forms},
    **{f"nes{year}-nes": partial(nes.build, year) for year in (*range(1972, 2000, 4), 2000)},
    "sblrc-blr": partial(blr.build, "sblrc"),
    "sblri-blr": partial(blr.build, "sblri"),
    "arK-arK": ark.build,
    "arma-arma11": arma11.build,
    "bball_drive_event_0-hmm_drive_0": hidden_markov.drive_exponential,
    "bball_drive_event_1-hmm_drive_1": hidden_markov.drive_normal,
    "diamonds-diamonds": diamonds.build,
    "eight_schools-eight_schools_noncentered": eight_schools.build,
    "garch-garch11": garch.build,
    "gp_pois_regr-gp_pois_regr": gp_points.counts,
    "gp_pois_regr-gp_regr": gp_points.values,
    "hmm_example-hmm_example": hidden_markov.example,
    "hudson_lynx_hare-lotka_volterra": lotka_volterra.build,
    "kilpisjarvi_mod-kilpisjarvi": kilpisjarvi.build,
    "low_dim_gauss_mix-low_dim_gauss_mix": gauss_mix.build,
    "one_comp_mm_elim_abs-one_comp_mm_elim_abs": elimination.build,
}
