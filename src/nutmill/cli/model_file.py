"""Finds the model that `file.py:name` names, and says in one sentence why there is none."""

import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from nutmill.cli.console import stage
from nutmill.errors import ModelError

if TYPE_CHECKING:
    from nutmill.native.compiled import CompiledModel

T = TypeVar("T")

SAVED = ".nut"
_KINDS = "a pm.Model, a function without arguments that returns one, or a CompiledModel"


class ModelPlace(NamedTuple):
    """A name in a file of Python; without a name, a file that `CompiledModel.save` wrote."""

    path: Path
    name: str | None

    def __str__(self) -> str:
        return str(self.path) if self.name is None else f"{self.path}:{self.name}"


def parse(text: str) -> ModelPlace:
    """Read ``file.py:name`` or ``model.nut``; raises ValueError with what is wrong with it."""
    if text.endswith(SAVED):
        return ModelPlace(Path(text), None)
    path, colon, name = text.rpartition(":")
    if not colon or not path or not name.isidentifier():
        raise ValueError(f"a model is given as file.py:name, such as model.py:model, or as model.nut, not {text!r}.")
    if path.endswith(SAVED):
        raise ValueError(f"a compiled model has no name in its file: it is given as {path}, not {text!r}.")
    return ModelPlace(Path(path), name)


def check_file(path: Path) -> None:
    """Raise ModelError if there is no such file."""
    if not path.is_file():
        what = "it is a folder" if path.is_dir() else "there is no such file"
        if (meant := Path(f"{path}.py")).is_file():
            what += f" (is {meant} meant?)"
        raise ModelError(f"The model file {path} cannot be read: {what}.")


def load_model(place: ModelPlace) -> object:
    """Give the model of a file: a `pm.Model` or a `CompiledModel`.

    The file's folder is on ``sys.path`` meanwhile, as when Python runs the file; ``__name__`` is the file's name.
    Raises ModelError if the file is not there or raises, has no such name, or the name is not a model; it is damaged,
    or made for other processors.
    """
    path = place.path
    check_file(path)
    if place.name is None:
        from nutmill.native.compiled import load

        return load(path)
    with _on_path(path.resolve().parent):
        module = _call(lambda: _imported(path), path, f"The model file {path}")
        if not hasattr(module, place.name):
            raise ModelError(f"{path} has no {place.name!r}; {_listing(module)}.")
        value = getattr(module, place.name)
        if is_model(value):
            return value
        if not callable(value) or isinstance(value, type):
            raise ModelError(f"{place} is {_kind(value)}, not {_KINDS}; {_listing(module)}.")
        if (needed := _needed(value)) is None or needed:
            arguments = f"needs arguments ({', '.join(needed)})" if needed else "cannot be called without arguments"
            raise ModelError(f"{place} {arguments}; name {_KINDS}.")
        returned = _call(value, path, f"{place.name}() of {path}")
        if not is_model(returned):
            raise ModelError(f"{place.name}() of {path} returned {_kind(returned)}, not a pm.Model or a CompiledModel.")
        return returned


def compiled_model(place: ModelPlace, data: Path | None = None, **order: Any) -> "CompiledModel":
    """Load a model and compile it, with arrays of an .npz file in the place of its data; says what takes long.

    `order` is what `compile_model` takes besides the model, such as `target`. Raises ModelError as `load_model`; if the
    model cannot be compiled, or the arrays are not of its data.
    """
    with stage(f"Loading {place.path}"):
        model = load_model(place)
    with stage(f"Compiling {place}"):
        compiled = as_compiled(model, **order)
    return compiled if data is None else compiled.with_data(**_arrays(data))


def as_compiled(model: object, **order: Any) -> "CompiledModel":
    """Compile a model that `load_model` gave, unless it is compiled already."""
    from nutmill.native.compiled import CompiledModel

    if isinstance(model, CompiledModel):
        return model
    from nutmill.model.compile_model import compile_model  # PyMC, which a compiled model does not need

    return compile_model(model, **order, progressbar=False)  # commands say it themselves, with the model's name


def _arrays(path: Path) -> dict:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"The data {path} cannot be read: it is no .npz file of numbers.") from error


def is_model(value: object) -> bool:
    """Say whether a value is a `pm.Model` or a `CompiledModel`; imports neither, because whoever made one did."""
    homes = (("pymc", "Model"), ("nutmill.native.compiled", "CompiledModel"))
    kinds = (getattr(sys.modules.get(home), name, None) for home, name in homes)
    return any(isinstance(kind, type) and isinstance(value, kind) for kind in kinds)


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):  # the file removed it itself
            sys.path.remove(str(folder))


def _imported(path: Path) -> ModuleType:
    """Run a file as the module of its name; one that is loaded under this name stays what it is for others."""
    name, file = path.stem, str(path.resolve())
    loader = SourceFileLoader(name, file)
    module = module_from_spec(cast(ModuleSpec, spec_from_file_location(name, file, loader=loader)))
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    try:
        loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    finally:
        if before is not None:
            sys.modules[name] = before
    return module


def _call(function: Callable[[], T], path: Path, subject: str) -> T:
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise ModelError(f"{subject} raised {_last_line(error)}{_where(error, path)}.") from error


def _last_line(error: BaseException) -> str:
    """Give the kind and the message of an error as the end of a traceback shows them, in one line."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)  # str adds the place, which `_where` tells
    message = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return ": ".join(filter(None, (type(error).__name__, message.rstrip("."))))


def _where(error: BaseException, path: Path) -> str:
    """Name the last line of the file that ran; for a syntax error, the line that cannot be read."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f" (line {error.lineno} of {error.filename})"
    frames = traceback.extract_tb(error.__traceback__)
    here = [frame for frame in frames if frame.filename == str(path.resolve())]
    if not here:
        return ""
    frame = here[-1]
    function = "" if frame.name == "<module>" else f", in {frame.name}"
    return f" (line {frame.lineno} of {path}{function}: {frame.line})"


def _needed(function: Callable) -> list[str] | None:
    """Name the arguments that a function cannot do without; None where Python cannot tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in parameters if one.default is one.empty and one.kind not in optional]


def _listing(module: ModuleType) -> str:
    """Name what the file has that may be meant."""
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    models = [name for name, value in public.items() if is_model(value)]
    own = (name for name, value in public.items() if getattr(value, "__module__", None) == module.__name__)
    functions = [name for name in own if inspect.isfunction(public[name]) and _needed(public[name]) == []]
    parts = [f"models in it: {', '.join(models)}" if models else "there is no model in it"]
    parts += [f"functions that may return one: {', '.join(functions)}"] * bool(functions)
    return "; ".join(parts)


def _kind(value: object) -> str:
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
