#!/usr/bin/env bash
# Builds the source distribution, the wheel from it, and tries the wheel in a new environment: its size, its kernel, a run.
#
# Usage: .ci/wheel.sh PYTHON CONSTRAINTS [FOLDER], where PYTHON has the `build` package. The wheel is left in FOLDER.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 constraints=$PWD/$2 folder=${3:-}

work=$(mktemp --directory --tmpdir nutmill-wheel.XXXXXX)
trap 'rm -rf "$work"' EXIT

"$python" -m build --outdir "$work" . >"$work/build.log" 2>&1 || { tail -40 "$work/build.log"; exit 1; }
wheel=$(echo "$work"/*.whl)
size=$(stat --format %s "$wheel")
echo "$(basename "$wheel"): $((size / 1024)) KiB; $(basename "$work"/*.tar.gz): $(($(stat --format %s "$work"/*.tar.gz) / 1024)) KiB"
[[ -z $folder ]] || cp "$wheel" "$folder"
((size < 3 * 1024 * 1024)) || { echo "wheel.sh: the wheel is larger than 3 MiB" >&2; exit 1; }

"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet "$wheel" --constraint "$constraints"
cd "$work" # away from the sources
cat >try.py <<'PROGRAM'
import numpy as np
import pymc as pm

import nutmill

with pm.Model() as model:
    mu = pm.Normal("mu")
    pm.Normal("y", mu, 1.0, observed=np.zeros(100))

result = nutmill.sample_numba(model, random_seed=1, progressbar=False)
mean = float(result.posterior["mu"].mean())
assert abs(mean) < 0.02, mean
print("installed from a wheel:", nutmill.__version__, nutmill.__file__)
PROGRAM
export NUTMILL_CACHE_DIR=$work/cache
venv/bin/python try.py 2>said
venv/bin/nutmill --help >/dev/null
if grep --quiet "Compiling the sampler" said; then
    echo "wheel.sh: the wheel's kernel was not used" >&2
    cat said >&2
    exit 1
fi
