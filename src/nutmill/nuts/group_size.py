"""How many chains learn from each other during warmup; a file of its own, which brings no NumPy."""

GROUP_SIZE = 4
