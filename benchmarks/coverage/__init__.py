"""What PyTensor and PyMC can express, each tried: `python -m benchmarks.coverage` writes docs/operations.md.

It stands here, not beside `docs/tree.py`, because it compiles some hundreds of small models, which takes minutes, and
because its results, one file for each line of PyTensor, are kept as those of other benchmarks are.
"""
