"""From a run to ArviZ: traces, datasets, files."""
