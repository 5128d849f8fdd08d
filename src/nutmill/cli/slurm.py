"""A layout written for others: environment variables, `#SBATCH` lines, a line of Python."""

from nutmill.layout.layout import Layout

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
# Of `sample_numba`.
_DEFAULT_CHAINS = 4


def environment(layout: Layout) -> dict[str, str]:
    """Give the variables with which another program's BLAS uses as many threads a chain.

    They count when a process starts. One that runs several chains in threads shares them between its chains.
    """
    return dict.fromkeys(_VARIABLES, str(layout.blas_threads))


def environment_block(layout: Layout) -> str:
    """Write `environment` for a shell."""
    return "\n".join(f"export {name}={value}" for name, value in environment(layout).items())


def directives(layout: Layout) -> list[str]:
    """Give the lines at the top of a job script that ask Slurm for the cores of a layout.

    One task, so that all of it is on one node; cores rather than hardware threads.
    """
    n_cores = layout.chains_at_once * layout.blas_threads
    return ["#SBATCH --ntasks=1", f"#SBATCH --cpus-per-task={n_cores}", "#SBATCH --hint=nomultithread"]


def step(command: str = "python run.py") -> str:
    """Give the line of a job script that starts a command on the job's cores.

    It repeats ``--cpus-per-task``, because srun does not take it from sbatch in Slurm 22.05 to 23.02.
    """
    return f"srun --cpus-per-task=$SLURM_CPUS_PER_TASK {command}"


def python_line(layout: Layout, chains: int) -> str:
    """Write the call that samples under a layout; what is the default and says nothing is left out."""
    always = ("chains_at_once", "blas_threads")
    defaults = Layout(1).as_dict()
    values = {name: value for name, value in layout.as_dict().items() if name in always or value != defaults[name]}
    arguments = ", ".join(f"{name}={value!r}" for name, value in values.items())
    given = "" if chains == _DEFAULT_CHAINS else f"chains={chains}, "
    return f"sample_numba(model, {given}layout=Layout({arguments}))"
