"""Models of the kinds that people post on PyMC's forum, by us and by nutpie at defaults: how many runs are clean."""
