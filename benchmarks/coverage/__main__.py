"""Tries every expression and distribution on the line of PyTensor that is installed, and writes docs/operations.md.

``python -m benchmarks.coverage`` takes some minutes; with words, only what has one of them is tried, and the rest is
kept as it was.
"""

import os
import sys
import tempfile
import time

from benchmarks.coverage import page
from benchmarks.coverage.cases import distributions, expressions


def main(words: list[str]) -> None:
    """Try what has one of the words, or all."""
    # Code that an earlier nutmill compiled would answer for this one.
    os.environ["NUTMILL_CACHE_DIR"] = tempfile.mkdtemp()
    from benchmarks.coverage import trial

    for subjects, attempt in ((expressions(), trial.try_expression), (distributions(), trial.try_distribution)):
        for written in (each for subject in subjects.values() for each in subject):
            if words and not any(word in written for word in words):
                continue
            begin = time.process_time()
            found = attempt(written)
            print(f"{time.process_time() - begin:5.1f} CPU s  {written}  {' '.join(found)}", flush=True)
            page.keep({written: found})
    page.write()


if __name__ == "__main__":
    main(sys.argv[1:])
