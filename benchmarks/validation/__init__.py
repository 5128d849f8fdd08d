"""Whether draws are right: distances from reference draws."""
