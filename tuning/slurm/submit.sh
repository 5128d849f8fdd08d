#!/bin/bash
# Submits the chains, and the job that joins them once all have finished. Written by `nutmill sbatch`.
#
#     bash run/submit.sh
#
# Run it again after a failure: chains go on from their checkpoints.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

chains=$(sbatch --parsable run/chains.sbatch)
# On a federation of clusters the name of one follows the number.
chains=${chains%%;*}
merge=$(sbatch --parsable --dependency="afterok:$chains" --kill-on-invalid-dep=yes run/merge.sbatch)
echo "Job $chains samples, then job ${merge%%;*} joins the chains into run/result.nc."
