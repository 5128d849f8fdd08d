"""Campaigns of breaking nutmill: each does harm of one kind, over and over, and counts what came of it."""
