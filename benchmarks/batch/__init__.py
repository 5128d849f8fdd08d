"""Measures what batch jobs rest on: checkpoints and their cost, kills, many chains through Dask, a real Slurm."""
