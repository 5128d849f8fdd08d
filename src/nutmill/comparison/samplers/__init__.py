"""The samplers that can be compared, by name: what each one is, and what it needs."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from typing import NamedTuple

from nutmill.comparison import machine
from nutmill.comparison.samplers.contract import SamplerRun


class Sampler(NamedTuple):
    """One way to sample a model."""

    title: str  # what people call it
    module: str  # the module of this package that runs it
    options: Mapping[str, object] = {}  # of that module's `run`
    needs: tuple[str, ...] = ()  # packages besides nutmill and PyMC
    # Of the environment of its process; ``{chains}`` stands for how many there are, ``{caches}`` for a folder.
    variables: Mapping[str, str] = {}
    reads_program: bool = False  # whether it samples a program in a file, of the same model

    def missing(self) -> tuple[str, ...]:
        """Return the packages that it needs and that are not installed here."""
        return tuple(package for package in self.needs if not machine.is_installed(package))


# JAX sees one CPU unless told, and PyMC's samplers on JAX put a chain on each; the cores that a process may use
# bound what runs at once.
_JAX_ON_CPU = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count={chains}"}
_SINGLE = {"PYTENSOR_FLAGS": "floatX=float32"}

STAN = "stan"

SAMPLERS = {
    "nutmill": Sampler("nutmill", "nutmill"),
    "nutmill-tuned": Sampler("nutmill in the layout that measuring chose", "nutmill", {"tuned": True}),
    "nutmill-float32": Sampler("nutmill, float32", "nutmill", {"dtype": "float32"}),
    "nutpie": Sampler("nutpie on Numba", "nutpie", needs=("nutpie",)),
    "nutpie-low-rank": Sampler("nutpie on Numba, low-rank metric", "nutpie", {"low_rank": True}, ("nutpie",)),
    "nutpie-jax": Sampler("nutpie on JAX", "nutpie", {"backend": "jax"}, ("nutpie", "jax"), {"JAX_PLATFORMS": "cpu"}),
    "pymc": Sampler("PyMC's own NUTS at its defaults", "pymc_sampler"),
    "pymc-c": Sampler("PyMC's own NUTS on C", "pymc_sampler", {"mode": "CVM"}),
    "pymc-numba": Sampler("PyMC's own NUTS on Numba", "pymc_sampler", {"mode": "NUMBA"}),
    "pymc-float32": Sampler("PyMC's own NUTS, float32", "pymc_sampler", variables=_SINGLE),
    "numpyro": Sampler("NumPyro on JAX", "on_jax", {"library": "numpyro"}, ("jax", "numpyro"), _JAX_ON_CPU),
    "numpyro-float32": Sampler(
        "NumPyro on JAX, float32", "on_jax", {"library": "numpyro"}, ("jax", "numpyro"), _JAX_ON_CPU | _SINGLE
    ),
    "numpyro-gpu": Sampler(
        "NumPyro on a GPU", "on_jax", {"library": "numpyro", "vectorized": True}, ("jax", "numpyro"),
        {"JAX_PLATFORMS": "cuda"},
    ),
    "blackjax": Sampler("BlackJAX", "on_jax", {"library": "blackjax"}, ("jax", "blackjax"), _JAX_ON_CPU),
    "walnuts": Sampler("WALNUTS on nutmill's density", "walnuts", needs=("walnutpie",)),
    STAN: Sampler(
        "Stan, through PyStan", "stan", needs=("pystan",), variables={"XDG_CACHE_HOME": "{caches}/user"},
        reads_program=True,
    ),
}  # fmt: skip

# What is compared unless other samplers are named.
USUAL = ("nutmill", "nutpie", "nutpie-low-rank", "nutpie-jax", "pymc-c", "pymc-numba", "numpyro", "blackjax")


# Versions, as far as they begin so, with which this release was tested; another one may do things in another way.
TESTED = {
    "blackjax": ("1.5",),
    "jax": ("0.10.", "0.12."),
    "numpyro": ("0.22.",),
    "nutpie": ("0.16.",),
    "pymc": ("5.28.", "6.4."),
    "pystan": ("3.10.",),
    "walnutpie": ("0.0.3",),
}


# What to install of a package where the newest release will not do: PyMC cannot drive a later BlackJAX.
RELEASES = {"blackjax": "blackjax<1.6"}


def untested(names: Iterable[str]) -> dict[str, str]:
    """Return the packages behind these samplers of which another version is installed, with that version."""
    packages = {package for name in names for package in ("pymc", *SAMPLERS[name].needs)}
    found = machine.versions(sorted(packages))
    return {package: version for package, version in found.items() if not version.startswith(TESTED[package])}


def load(name: str) -> Callable[..., SamplerRun]:
    """Return `run(model, size) -> SamplerRun` of the sampler called `name`.

    Raises
    ------
    KeyError
        If there is no such sampler; the message lists those there are.
    """
    if name not in SAMPLERS:
        raise KeyError(f"no sampler is called {name!r}; choose from {', '.join(SAMPLERS)}")
    sampler = SAMPLERS[name]
    return partial(import_module(f"nutmill.comparison.samplers.{sampler.module}").run, **sampler.options)
