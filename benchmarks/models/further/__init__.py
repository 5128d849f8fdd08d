"""Twelve models of kinds that the suite lacks and people use, each on data that a seed makes."""
