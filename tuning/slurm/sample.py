"""Samples one job of an array: as many chains as the layout of a profile runs at once, with a seed of its own."""

import argparse

from nutmill import sample_numba
from nutmill.cli.model_file import load_model, parse
from nutmill.layout.profile import load

SEED = 20261124


def main() -> None:
    """Sample, and write the draws as netCDF."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=parse, help="file.py:name")
    parser.add_argument("profile", help="a file that `nutmill tune --profile` wrote")
    parser.add_argument("task", type=int, help="number of this job in the array")
    parser.add_argument("output", help="netCDF file")
    parser.add_argument("--draws", type=int, default=1000)
    options = parser.parse_args()
    layout = load(options.profile).layout
    result = sample_numba(
        load_model(options.model),
        draws=options.draws,
        chains=layout.chains_at_once,
        layout=layout,
        random_seed=[SEED, options.task],
        progressbar=False,
    )
    result.to_netcdf(options.output)


if __name__ == "__main__":
    main()
