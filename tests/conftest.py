"""Its place makes `targets`, `oracle` and `assertions` importable from every folder of tests."""
