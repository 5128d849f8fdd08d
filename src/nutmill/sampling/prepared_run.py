"""A run that is ready to be sampled: a compiled model, the checked request, the machine, and where chains begin."""

from typing import NamedTuple

from nutmill.checkpoint.folder import RunFolder
from nutmill.layout.machine.topology import Topology
from nutmill.native.compiled import CompiledModel
from nutmill.run.checkpoints import SavedRun, Starts
from nutmill.sampling.request import Request


class PreparedRun(NamedTuple):
    """All that sampling needs; `session.sample_session` samples it."""

    compiled: CompiledModel
    request: Request
    topology: Topology
    begin: Starts | SavedRun  # where new chains start, or the folder in which those of an earlier process lie

    @property
    def folder(self) -> RunFolder | None:
        """The folder of the run, which is open; None for a run that lies in memory alone."""
        return self.begin.folder
