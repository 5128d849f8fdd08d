"""The command line: `nutmill topology`, `nutmill tune`, `nutmill cache`; each imports what it needs when it runs."""
