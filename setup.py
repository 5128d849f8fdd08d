"""Compiles the sampler's kernel while the package is built or installed, so that no first run waits for it."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SOURCES = Path(__file__).parent / "src"


class BuildWithKernel(build_py):
    """Copies the package's files, and adds machine code of the kernel for each level of x86-64."""

    def run(self) -> None:
        """Build; an editable install gets the code beside its sources."""
        super().run()
        try:
            self._write_kernels()
        except Exception as error:  # setuptools turns it into a warning that pip hides, if the install is editable
            raise SystemExit(f"nutmill: the sampler's kernel was not compiled: {error!r}") from error

    def _write_kernels(self) -> None:
        root = SOURCES if self.editable_mode else Path(self.build_lib)
        sys.path.insert(0, str(SOURCES))
        from nutmill.model.lowering.kernel import write_kernels

        print("nutmill: compiling the sampler's kernel, which takes about 20 s", file=sys.stderr, flush=True)
        write_kernels(root / "nutmill" / "kernels")


setup(cmdclass={"build_py": BuildWithKernel})
