"""PyTensor's `Scan` and recurrences as loops of the graph's own function."""
