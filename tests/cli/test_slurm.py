"""A layout for other programs: the very text of variables, `#SBATCH` lines and Python, and that it does as it says."""

import subprocess

import pytest

from nutmill import LayoutError
from nutmill.cli.tuned import directives, environment, environment_block, python_line, step
from nutmill.layout.layout import Layout

LAYOUT = Layout(4, 2, "mkl")


def test_sbatch_lines_ask_for_the_cores_of_a_layout():
    """The text is pinned: users paste it, and sites check it."""
    assert "\n".join([*directives(LAYOUT), step()]) == (
        "#SBATCH --ntasks=1\n"
        "#SBATCH --cpus-per-task=8\n"
        "#SBATCH --hint=nomultithread\n"
        "srun --cpus-per-task=$SLURM_CPUS_PER_TASK python run.py"
    )


def test_the_environment_limits_each_blas():
    assert environment(LAYOUT) == {
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "BLIS_NUM_THREADS": "2",
    }
    assert environment_block(Layout(2)) == (
        "export OMP_NUM_THREADS=1\nexport OPENBLAS_NUM_THREADS=1\nexport MKL_NUM_THREADS=1\nexport BLIS_NUM_THREADS=1"
    )


def test_a_shell_reads_the_block():
    script = f"set -eu\n{environment_block(LAYOUT)}\npython3 -c 'import os; print(os.environ[\"MKL_NUM_THREADS\"])'"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"


@pytest.mark.parametrize(
    ("layout", "chains", "text"),
    [
        (Layout(4), 4, "sample_numba(model, layout=Layout(chains_at_once=4, blas_threads=1))"),
        (Layout(2, 3), 8, "sample_numba(model, chains=8, layout=Layout(chains_at_once=2, blas_threads=3))"),
        (
            LAYOUT,
            4,
            "sample_numba(model, layout=Layout(chains_at_once=4, blas_threads=2, blas='mkl'))",
        ),
    ],
)
def test_the_line_of_python_makes_the_layout(layout, chains, text):
    assert python_line(layout, chains) == text
    names = {"Layout": Layout, "model": None, "sample_numba": lambda model, chains=4, layout=None: (chains, layout)}
    assert eval(text, names) == (chains, layout)


def test_the_line_of_python_is_checked_as_any_layout():
    with pytest.raises(LayoutError):
        eval("Layout(chains_at_once=0)", {"Layout": Layout})
