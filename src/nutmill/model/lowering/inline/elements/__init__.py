"""Element by element: scalar operations, the loops that apply them, and what they are reduced to."""
