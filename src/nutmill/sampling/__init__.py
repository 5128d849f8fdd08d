"""Assembles a run: arguments, layout, session, resume and merge."""
