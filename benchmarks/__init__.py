"""Measures nutmill beside its peers: models, samplers, a runner and a report."""
