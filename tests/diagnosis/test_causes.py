"""What the report takes for the cause: edges are told from necks, separate modes from slow chains."""

import numpy as np
import pytest
from diagnosis.faultless import N_CHAINS, N_DRAWS, good_posterior, good_stats, kinds


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        ([2], "In mu chain 2 lies apart from the others: "),
        ([0, 1, 3], "In mu chain 2 lies apart from the others: "),
    ],
)
@pytest.mark.parametrize("distance", [-6.0, 6.0])
def test_chains_in_modes_of_their_own_are_named(moved, expected, distance):
    posterior = good_posterior((N_CHAINS, N_DRAWS))
    posterior["mu"][moved] += distance
    message = kinds(posterior)["rhat"].message
    assert expected in message
    assert "more draws do not help" in message


def test_chains_that_overlap_are_not_said_to_be_in_modes():
    posterior = good_posterior((N_CHAINS, N_DRAWS))
    posterior["mu"][[0, 3]] += 1.0
    assert kinds(posterior)["rhat"].message.endswith("the chains disagree. Draw longer, or reparameterize.")


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([np.inf, np.inf, 2e3], "At 2 of them the log density is not finite a few steps further: "),
        ([np.inf, -np.inf, np.nan], "At all of them the log density is not finite a few steps further: "),
        ([np.inf, 2e3, 2e3], "Raise target_accept (0.95, 0.99); if divergences stay, reparameterize"),
    ],
)
def test_an_edge_of_the_posterior_is_no_neck(errors, expected):
    stats = good_stats((N_CHAINS, N_DRAWS))
    stats["diverging"][1, 3:6] = True
    stats["max_energy_error"][1, 3:6] = errors
    assert expected in kinds(stats=stats)["divergences"].message
