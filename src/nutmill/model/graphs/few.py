"""Along how many columns loops over rows of data are unrolled at most, where the code knows their number."""

# Of more, a loop would have too many values at once.
FEW = 8

# As many where rows read parameters by groups, too: in tiles of rows, sums by group would be loops apart.
FEW_BESIDE_GROUPS = 16
