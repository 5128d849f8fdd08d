#!/usr/bin/env bash
# Tries a wheel of nutmill in a new environment beside PyMC 6.3.2 and the packages that stand on PyMC: Bambi, pymc-extras,
# pymc-marketing. What cannot be had is a failure.
#
# Usage: .ci/extras.sh PYTHON WHEEL
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 wheel=$(realpath "$2")

work=$(mktemp --directory --tmpdir nutmill-extras.XXXXXX)
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet "nutmill[extras] @ file://$wheel" --constraint .ci/constraints-extras.txt
"$work/venv/bin/python" -m pip list 2>/dev/null | grep --extended-regexp --ignore-case '^(pymc|bambi|pytensor|arviz|nutmill)'
# The tests are those of this tree, and nutmill is the wheel's.
"$work/venv/bin/python" -m pytest -p no:cacheprovider -m "extras or not (slow or slurm)" tests/extras tests/pymc
