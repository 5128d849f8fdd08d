"""Rows of data: in the order of their groups, by columns, in tiles, or once for each distinct value."""
