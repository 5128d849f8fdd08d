"""Results compared bit for bit: draws, statistics, labels, and what else comes of the draws."""

import numpy as np

from nutmill.results.trace import group

FROM_DRAWS = ("posterior", "sample_stats", "unconstrained_posterior", "divergences", "adaptation")
WARMUP = ("warmup_posterior", "warmup_sample_stats", "warmup_unconstrained_posterior")


def assert_same(result, reference, groups=FROM_DRAWS + WARMUP):
    """Compare the groups of two results, to the last bit."""
    for name in groups:
        for variable, values in group(reference, name).data_vars.items():
            found = group(result, name)[variable]
            assert found.dims == values.dims
            assert found.values.tobytes() == values.values.tobytes(), (name, variable)
            for label in values.coords:
                np.testing.assert_array_equal(found.coords[label].values, values.coords[label].values)
