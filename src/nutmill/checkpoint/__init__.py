"""The folder of a run on disk: its manifest, the draws and states of its groups, its lock."""
