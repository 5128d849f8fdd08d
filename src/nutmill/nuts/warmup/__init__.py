"""What chains learn before draws are kept: the gate, metrics, coordinates, steps, and when they agree."""
