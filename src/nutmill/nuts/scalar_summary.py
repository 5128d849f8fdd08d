"""What is told of each scalar where there is no room for its draws: moments, quantiles, errors, how chains mix."""

import math

from nutmill._jit import kernel
from nutmill.nuts.effective_size import effective_size, mean_of
from nutmill.nuts.mixing import TAILS, mixing, quantile, squares, take
from nutmill.nuts.precision import standardise

# What `summarise` writes for each scalar; `mixing_room.SUMMARY` has their names.
MEAN, SD, MCSE_MEAN, LOW, MEDIAN, HIGH, RHAT, ESS_BULK, ESS_TAIL = range(9)


@kernel
def summarise(room, first, last):
    """Write into `room.found` for the scalars from `first` to before `last`, from one look at their order."""
    n_chains, values, order = room.draws.shape[0], room.values, room.order[0]
    for scalar in range(first, last):
        take(room, scalar)
        found = room.found[scalar]
        found[RHAT], found[ESS_BULK], found[ESS_TAIL] = mixing(room, n_chains)
        found[LOW], found[HIGH] = quantile(room, order, TAILS[0]), quantile(room, order, TAILS[1])
        found[MEDIAN] = quantile(room, order, 0.5)
        mean = mean_of(values)
        spread = squares(values, mean) / values.size
        found[MEAN], found[SD] = mean, math.sqrt(spread * values.size / (values.size - 1.0))
        scale = 1.0 / math.sqrt(spread) if spread > 0.0 else 0.0
        standardise(room, n_chains, mean, scale)
        found[MCSE_MEAN] = found[SD] / math.sqrt(effective_size(room))
