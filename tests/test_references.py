"""Names in comments and docstrings of what stands in other files: a room, a file, a class, a function that is there."""

import ast
import re
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "nutmill"
FILES = sorted(SOURCE.rglob("*.py"))
NAMED = re.compile(r"(?<!`)`([A-Za-z_][\w/]*(?:\.\w+)+)`(?!`)")
OTHERS = ("pymc.dims", "nutpie.sample", "model.nut")  # of other libraries, and a file of the user


def module(path):
    return path.relative_to(SOURCE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


def defined(body):
    """What statements define or import, by name."""
    found = {}
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = node
        if isinstance(node, ast.ImportFrom):
            found |= dict.fromkeys([alias.asname or alias.name for alias in node.names], node)
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        found |= {
            name.id: node for target in filter(None, targets) for name in ast.walk(target) if isinstance(name, ast.Name)
        }
    return found


TREES = {module(path): ast.parse(path.read_text()) for path in FILES}
CLASSES = {
    name: node for tree in TREES.values() for name, node in defined(tree.body).items() if isinstance(node, ast.ClassDef)
}
STEMS = {part for name in TREES for part in name.split(".")}


def has(node, name):
    """Whether a class has a field, a method or an attribute that its methods set."""
    own = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)}
    return name in defined(node.body) or name in own


def is_there(named):
    """Whether a dotted name, or the end of one, is something of ours; what is no name of ours is not judged."""
    if "/" in named:
        return not named.endswith(".py") or any(f"/{path}".endswith(f"/{named}") for path in map(Path.as_posix, FILES))
    first, *rest = named.removeprefix("nutmill.").split(".")
    if first in CLASSES:
        return has(CLASSES[first], rest[0])
    if first not in STEMS or named in OTHERS:
        return True
    for n in range(len(rest) + 1):
        ends, inside = ".".join([first, *rest[:n]]), rest[n:]
        for name in (name for name in TREES if f".{name}".endswith(f".{ends}")):
            if not inside or inside[0] in defined(TREES[name].body):
                return True
    return False


def test_what_sentences_name_in_other_files_is_there():
    gone = [(module(path), name) for path in FILES for name in NAMED.findall(path.read_text()) if not is_there(name)]
    assert gone == []


def test_names_of_what_has_moved_are_found():
    assert is_there("native.origin.Origin") and is_there("sampling.executor.parent") and is_there("native/teams.py")
    assert is_there("CompiledModel.save") and is_there("inline/steps.py") and is_there("os.fsync")
    for gone in ("native.stored.StoredOrigin", "nuts.low_rank", "CompiledModel.sample", "layout/sweeps.py"):
        assert not is_there(gone), gone
