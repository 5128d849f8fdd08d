"""The graphs of a model: log density, starts, data, centring, checks."""
