"""Simulation-based calibration: whether draws are right where no reference is known, for models of many kinds."""
