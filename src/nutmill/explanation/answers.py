"""Questions that people ask about a model, answered in plain words from what was measured."""

import html
from collections.abc import Mapping

from nutmill.explanation.blas_calls import call_name
from nutmill.explanation.measured import Measured
from nutmill.explanation.other_blas import advice_on_blas, other_blas
from nutmill.units import duration, size

_N_NAMED = 6
# More threads must gain this much to be worth a word, and most of what the cores are to be worth having.
_GAIN, _EFFICIENT = 1.1, 0.8
# Below this no BLAS call is worth a second thread, and sampling is over in a moment.
_LIGHT_S = 1e-4
# What starting an operation on a GPU takes, whatever its size; not measured here.
_LAUNCH_S = 5e-6
_BOUND = 0.5


def answers(found: Measured) -> dict[str, list[str]]:
    """Answer questions, each in a few sentences."""
    return {
        "What runs when this model is sampled?": _what_runs(found),
        "Where does the time of a gradient go?": _time(found),
        "Which cores are busy, and what does BLAS do there?": _cores(found),
        "Would another BLAS be faster?": other_blas(found),
        "What does it read?": _memory(found),
        "Would float32 or a GPU be faster?": _elsewhere(found),
        "What can be done?": advice(found),
    } | _not_measured(found)


def _not_measured(found: Measured) -> dict[str, list[str]]:
    """Say what there was no time for, if anything."""
    if not found.left_out:
        return {}
    listed = ", ".join(found.left_out)
    return {
        "What was not measured?": [
            f"There was no time for {listed}: `nutmill explain --budget 300`, `explain(model, budget_s=300)`."
        ]
    }


def as_text(found: Measured) -> str:
    """Write all answers in lines."""
    return "\n\n".join("\n".join([question, *said]) for question, said in answers(found).items())


def as_html(found: Measured) -> str:
    """Write all answers as HTML, for a notebook."""
    parts = (
        f"<h4>{html.escape(question)}</h4><p>{html.escape(' '.join(said))}</p>"
        for question, said in answers(found).items()
    )
    return "".join(parts)


def advice(found: Measured) -> list[str]:
    """Say what follows from what was measured."""
    said = [f"{op} runs in Python: write it with operations of PyTensor." for op in found.python_ops]
    if not found.fused and not said:
        said.append("The log of `nutmill` says which operation keeps the model from being linked with the sampler.")
    if found.gradient_s < _LIGHT_S:
        said.append("A gradient is too short for more BLAS threads to help: give every chain a core of its own.")
    elif found.gradient_s_all_threads is not None:
        said.append(_on_threads(found))
    if found.gradient_s >= _LIGHT_S and _gain_of_tiles(found) >= _GAIN:
        said.append(
            f"{found.machine.n_cores} tile threads make a gradient {_gain_of_tiles(found):.2f} times as fast: where "
            "there are more cores than chains, `nutmill tune` measures how many a chain should have."
        )
    said += advice_on_blas(found)
    if _reads_memory(found) and _reading_share(found) > _BOUND:
        said.append(
            "Reading data bounds this model, and chains at once share the memory: `nutmill tune` measures how many "
            "are best."
        )
    return said or ["Nothing stands out: the default layout, one BLAS thread a chain, fits."]


def _what_runs(found: Measured) -> list[str]:
    said = []
    if found.operations is not None:
        before, after = sum(found.operations.before.values()), sum(found.operations.after.values())
        said.append(
            f"PyTensor's graph of log density and gradient has {before} operations. Rewriting leaves {after} in each "
            f"gradient ({_listed(found.operations.after)})."
        )
        if found.operations.hoisted:
            said.append(f"{found.operations.hoisted} arrays and lengths that depend on data alone are computed once.")
    if found.fused:
        said.append(
            f"They were lowered by {found.lowered_by}, and linked into one object of {size(found.object_bytes)}, which "
            "the sampler calls: while it samples, neither Python nor JAX nor a C compiler runs."
        )
    else:
        said.append(f"They were lowered by {found.lowered_by}; the sampler calls them in Numba's engine.")
    said += [f"{op} runs in Python, once a gradient, with one chain at a time." for op in found.python_ops]
    kinds = sorted({fact.dtype for fact in found.data})
    data = f"its data is {', '.join(kinds)}" if kinds else "it has no data"
    said.append(f"The position has {found.n_dim} value{'s' * (found.n_dim != 1)} of float64; {data}.")
    return said


def _time(found: Measured) -> list[str]:
    said = [f"Log density and gradient take {duration(found.gradient_s)} with one BLAS thread."]
    if found.calls:
        named = [
            f"{call_name(call)} {duration(call.seconds)} ({call.seconds / found.gradient_s:.0%}, "
            f"{call.flops / call.seconds / 1e9:.3g} Gflop/s)"
            for call in found.calls[:_N_NAMED]
        ]
        rest = len(found.calls) - len(named)
        said.append(
            f"{found.blas_share:.0%} of it is BLAS and LAPACK: {', '.join(named)}"
            + (f" and {rest} more." if rest else ".")
        )
    elif found.calls is not None:
        said.append("None of it is BLAS or LAPACK: all of it is loops of its own.")
    else:
        said.append("Which share of it is BLAS cannot be seen through the pointer.")
    if 0 < found.least_s < found.gradient_s:  # others on the machine, who slow the measuring down, make more of it
        said.append(
            f"At {found.speed.flops_per_s / 1e9:.3g} Gflop/s and {found.speed.bytes_per_s / 1e9:.3g} GB/s, which one "
            f"core here was measured to reach, it could not take less than {duration(found.least_s)}."
        )
    return said


def _cores(found: Measured) -> list[str]:
    n_cores = found.machine.n_cores
    said = [
        f"{n_cores} core{'s' * (n_cores > 1)} may compute, {found.machine.bound_by}. As many chains run at once, each "
        "in a thread of its own."
    ]
    if found.gradient_s_tile_threads is not None:
        said.append(
            f"It goes through rows of data in tiles, which threads can share: with {n_cores} tile threads a gradient "
            f"takes {duration(found.gradient_s_tile_threads)}, {_gain_of_tiles(found):.2f} times as fast."
        )
    if not found.calls:
        said.append("BLAS is not called, so a chain keeps one core busy, and no other, unless a layout says otherwise.")
        return said
    said.append(f"Its calls go to {found.blas}. A chain is given one, unless a layout says otherwise.")
    if found.gradient_s_all_threads is not None:
        said.append(
            f"With {n_cores} BLAS threads a gradient takes {duration(found.gradient_s_all_threads)}: "
            f"{_speedup(found):.2f} times as fast on {n_cores} times the cores."
        )
    return said


def _memory(found: Measured) -> list[str]:
    if found.data_bytes == 0:
        return ["Nothing beside the position: it has no data."]
    said = [f"Data of {size(found.data_bytes)} at most."]
    if _reads_memory(found):
        share = _reading_share(found)
        caches = "; the rest comes from caches that cores share" if share > 1.0 else ""
        said.append(
            f"That is more than the {size(found.private_cache_bytes)} that a core caches for itself. Read once a "
            f"gradient, it comes at {found.data_bytes / found.gradient_s / 1e9:.3g} GB/s, {share:.0%} of what one core "
            f"here reads from memory{caches}."
        )
    elif found.private_cache_bytes:
        said.append(f"It stays in the {size(found.private_cache_bytes)} that a core caches for itself.")
    return said


def _elsewhere(found: Measured) -> list[str]:
    said = _single(found)
    if found.operations is not None:
        launches = _LAUNCH_S * found.operations.computing
        said.append(
            f"A GPU that starts these operations one by one, at about {duration(_LAUNCH_S)} each, would need "
            f"{duration(launches)} for a gradient if they took no time themselves; here it takes "
            f"{duration(found.gradient_s)}. `nutmill compare --sampler numpyro-gpu` measures it where there is one."
        )
    return said


def _single(found: Measured) -> list[str]:
    if "float32" in found.left_out:
        return []
    if found.gradient_s_single is None:
        return ["Float32 was not measured: that takes a pm.Model that can be linked with the sampler."]
    return [
        f'In float32 (`compile_model(model, dtype="float32")`) a gradient takes {duration(found.gradient_s_single)}, '
        f"which is {found.gradient_s / found.gradient_s_single:.2f} times as fast, and the log density at the start "
        f"moves by {found.logp_moves_by:.1g}. `nutmill compare --sampler nutmill --sampler nutmill-float32` shows "
        "whether the posterior moves."
    ]


def _on_threads(found: Measured) -> str:
    gain, n_cores = _speedup(found), found.machine.n_cores
    if gain < _GAIN:
        return f"{n_cores} BLAS threads do not help ({gain:.2f} times as fast): give the cores to chains."
    if gain < _EFFICIENT * n_cores:
        return (
            f"{n_cores} BLAS threads make a gradient {gain:.2f} times as fast, chains at once use the cores better: "
            "give threads only the cores that chains leave free. `nutmill tune` measures it."
        )
    return f"BLAS threads use cores as well as chains do ({gain:.2f} times as fast): `nutmill tune` finds the best mix."


def _gain_of_tiles(found: Measured) -> float:
    return found.gradient_s / (found.gradient_s_tile_threads or found.gradient_s)


def _speedup(found: Measured) -> float:
    return found.gradient_s / (found.gradient_s_all_threads or found.gradient_s)


def _reads_memory(found: Measured) -> bool:
    return found.private_cache_bytes > 0 and found.data_bytes > found.private_cache_bytes


def _reading_share(found: Measured) -> float:
    return found.data_bytes / found.gradient_s / found.speed.bytes_per_s


def _listed(counts: Mapping[str, int]) -> str:
    named = list(counts.items())[:_N_NAMED]
    return ", ".join(f"{kind} x {count}" for kind, count in named) + (", ..." if len(counts) > _N_NAMED else "")
