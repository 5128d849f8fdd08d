"""What a model would take with another BLAS, call by call, and when installing one would be worth trying."""

from nutmill.explanation.blas_calls import BlasCall, call_name
from nutmill.explanation.measured import LibrarySpeed, Measured
from nutmill.units import duration

_N_CALLS = 3
# Another library must gain this much to be worth a word.
_GAIN = 1.05
# A library that is not installed is worth trying where so much of a gradient that is not short is BLAS.
_SHARE, _LIGHT_S = 0.3, 1e-4


def other_blas(found: Measured) -> list[str]:
    """Say what a gradient and its longest calls take with each library."""
    if not found.calls:
        return ["It calls none." if found.calls is not None else "It cannot be given one: it runs through a pointer."]
    if "other BLAS libraries" in found.left_out:
        return ["That was not measured."]
    if len(found.libraries) < 2:
        return ["SciPy's is the only one that was found here, so that nothing is compared."]
    taken = ", ".join(f"{duration(one.gradient_s)} with {_named(one)}" for one in found.libraries)
    said = [f"In CPU time of one thread, measured in turn, a gradient takes {taken}."]
    for call in found.calls[:_N_CALLS]:
        each = [f"{duration(seconds)} with {one.label}" for one in found.libraries if (seconds := _of(one, call))]
        said.append(f"{call_name(call)}: {', '.join(each)}.")
    return said


def advice_on_blas(found: Measured) -> list[str]:
    """Say what follows: measure a faster one with the layouts, or install one that is worth trying."""
    if not found.calls or found.gradient_s < _LIGHT_S:
        return []
    if len(found.libraries) > 1:
        own, *others = found.libraries
        fastest = min(others, key=lambda one: one.gradient_s)
        if own.gradient_s >= _GAIN * fastest.gradient_s:
            gain = own.gradient_s / fastest.gradient_s
            return [
                f"{fastest.label} makes a gradient {gain:.2f} times as fast as SciPy's BLAS: `nutmill tune` measures "
                "it with chains and threads, and sampling takes it from then on."
            ]
    has_mkl = "mkl" in found.blas or any(one.label.startswith("mkl") for one in found.libraries)
    if found.blas_share >= _SHARE and not has_mkl and "Intel" in found.machine.cpu_model:
        return [
            f"{found.blas_share:.0%} of a gradient is BLAS, and MKL is not installed: on Intel's processors it is "
            'worth trying (`pip install "nutmill[mkl]"`, then `nutmill tune`).'
        ]
    return []


def _named(library: LibrarySpeed) -> str:
    notes = [] if library.blas is not None else ["SciPy's"]
    notes += [] if library.architecture is None else [f"code for {library.architecture}"]
    return library.label + (f" ({', '.join(notes)})" if notes else "")


def _of(library: LibrarySpeed, call: BlasCall) -> float:
    """Seconds of the same calls with a library; 0 if it was not seen to make them."""
    return sum(one.seconds for one in library.calls if (one.routine, one.sizes) == (call.routine, call.sizes))
