"""Makes `targets`, `oracle`, `assertions`, `zoo` and `posteriors` importable from every folder, by its place."""
