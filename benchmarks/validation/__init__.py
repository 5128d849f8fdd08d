"""Whether draws are right: distances from reference draws, and simulation-based calibration."""
