"""What is told of each scalar where there is no room for its draws: moments, quantiles, errors, how chains mix."""

from nutmill._jit import kernel
from nutmill.nuts.summaries.mixing import TAILS, mixing, quantile, take
from nutmill.nuts.summaries.precision import mean_and_error

# What `summarise` writes for each scalar, after mean, standard deviation and error of the mean, as `precision` has
# them; `mixing_room.SUMMARY` has their names.
LOW, MEDIAN, HIGH, RHAT, ESS_BULK, ESS_TAIL = range(3, 9)


@kernel
def summarise(room, first, last):
    """Write into `room.found` for the scalars from `first` to before `last`, from one look at their order."""
    n_chains, order = room.draws.shape[0], room.order[0]
    for scalar in range(first, last):
        take(room, scalar)
        found = room.found[scalar]
        found[RHAT], found[ESS_BULK], found[ESS_TAIL] = mixing(room, n_chains)
        found[LOW], found[HIGH] = quantile(room, order, TAILS[0]), quantile(room, order, TAILS[1])
        found[MEDIAN] = quantile(room, order, 0.5)
        mean_and_error(room, n_chains, found)
