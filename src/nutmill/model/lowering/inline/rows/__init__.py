"""Rows of data: taken by an index, in the order of their groups, or in tiles that threads may share."""
