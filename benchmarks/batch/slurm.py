"""Times the tests that start a real Slurm, submit, cancel, requeue and merge: from nothing to the merged result."""

import json
import subprocess
import sys
from pathlib import Path

from nutmill.comparison.resources import timed

ROOT = Path(__file__).parents[2]


def main(request: str, answer: str) -> None:
    """Run the tests and write their wall seconds to the file `answer`; `request` holds nothing."""
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-m", "slurm", "tests/slurm"]
    done, spent = timed(lambda: subprocess.run(command, cwd=ROOT, capture_output=True, text=True))
    if done.returncode != 0 or "skipped" in done.stdout:
        raise RuntimeError("the tests of Slurm have not all passed: " + done.stdout.strip().splitlines()[-1])
    Path(answer).write_text(json.dumps({"wall_s": spent.wall}))


if __name__ == "__main__":
    main(*sys.argv[1:])
