"""An explanation with round numbers: a gradient of a millisecond on a machine of two cores."""

from nutmill.explanation.blas_calls import BlasCall
from nutmill.explanation.explaining import Explanation
from nutmill.explanation.measured import DataFact, LibrarySpeed
from nutmill.explanation.speeds import MachineSpeed
from nutmill.layout.machine.topology import Cache, Topology
from nutmill.model.anatomy import Operations

MACHINE = Topology(
    cpus=(0, 1),
    cores=((0,), (1,)),
    numa_nodes=((0, 1),),
    n_cores=2,
    bound_by="all physical cores of the machine",
    quota=None,
    scheduler=None,
    scheduler_cpus=None,
    fast_cores=((0,), (1,)),
    caches=(Cache(1, 32_000, (0,)), Cache(2, 1_000_000, (0,)), Cache(3, 32_000_000, (0, 1))),
    memory_bytes=None,
    cpu_model="a processor",
    readings=(),
)

OPERATIONS = Operations(
    before={"Dot": 2, "elementwise mul": 30}, after={"fused loop": 3, "LeanDot": 1, "views and lengths": 5}, hoisted=2
)


# With which the longest call takes half of the time.
SCIPYS = LibrarySpeed("openblas 0.3", None, "Zen", 1e-3, [BlasCall("dgemv", (500, 1000), 2, 5e-4, 2e6)])
MKL = LibrarySpeed("mkl 2026.2", "mkl", "avx512", 7e-4, [BlasCall("dgemv", (500, 1000), 2, 2.5e-4, 2e6)])


def made_up(**changed) -> Explanation:
    facts = {
        "parameters": {"mu": (), "theta_log__": (8,)},
        "data": [DataFact("X", (1000, 500), "float64", 4_000_000)],
        "fused": True,
        "object_bytes": 85_000,
        "lowered_by": "nutmill's own LLVM IR",
        "python_ops": (),
        "operations": OPERATIONS,
        "gradient_s": 1e-3,
        "gradient_s_all_threads": 6e-4,
        "gradient_s_single": 5e-4,
        "logp_moves_by": 2e-5,
        "calls": [BlasCall("dgemv", (500, 1000), 2, 5e-4, 2e6), BlasCall("dpotrf", (9,), 1, 1e-4, 243.0)],
        "blas": "openblas 0.3 (SciPy's), 2 threads unless limited",
        "speed": MachineSpeed(1e10, 4e10),
        "machine": MACHINE,
        "libraries": [],
    }
    return Explanation(**(facts | changed))
