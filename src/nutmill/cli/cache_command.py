"""`nutmill cache`: what compiled code is kept, where, and how it goes away."""

from datetime import datetime

import typer

from nutmill.cli.console import print_json, stdout_console
from nutmill.cli.help import HelpfulCommand
from nutmill.cli.options import Json
from nutmill.errors import NutmillError
from nutmill.files import cache_folder
from nutmill.units import size

app = typer.Typer(help="Look at the cache of compiled code, or empty it.", no_args_is_help=True)


@app.command("list", cls=HelpfulCommand)
def list_entries(*, json: Json = False) -> None:
    """List the entries, the one used last first."""
    from nutmill.native import cache_space

    entries, limit_bytes = cache_space.listing(), cache_space.limit_bytes()
    n_bytes = sum(entry.n_bytes for entry in entries)
    if json:
        facts = {"folder": str(cache_folder()), "limit_bytes": limit_bytes, "n_bytes": n_bytes}
        print_json(facts | {"entries": [_entry(entry) for entry in entries]})
        return
    if entries:
        _print_entries(entries)
    share = f"{size(n_bytes)} of at most {size(limit_bytes)} (NUTMILL_CACHE_LIMIT)"
    print(f"{_entries(len(entries))} in {cache_folder()}: {share}.")


@app.command(cls=HelpfulCommand)
def prune(*, json: Json = False) -> None:
    """Remove what was used longest ago until the rest fits in NUTMILL_CACHE_LIMIT."""
    from nutmill.native import cache_space

    n_removed, limit_bytes = cache_space.prune(), cache_space.limit_bytes()
    left_bytes = sum(entry.n_bytes for entry in cache_space.listing())
    if left_bytes > limit_bytes:
        raise NutmillError(f"The cache holds {size(left_bytes)}, and {cache_folder()} does not let them be removed.")
    _print_removed(n_removed, json)


@app.command(cls=HelpfulCommand)
def clear(*, json: Json = False) -> None:
    """Remove every entry. Layout profiles, which `nutmill tune` keeps in the folder `profiles`, stay."""
    from nutmill.native import cache_space

    n_removed, left = cache_space.clear(), cache_space.listing()
    if left:
        raise NutmillError(f"{_entries(len(left))} could not be removed from {cache_folder()}.")
    _print_removed(n_removed, json)


@app.command(cls=HelpfulCommand)
def path(*, json: Json = False) -> None:
    """Print the folder; NUTMILL_CACHE_DIR moves it."""
    if json:
        print_json({"folder": str(cache_folder())})
    else:
        print(cache_folder())


# What users know of what is kept; `--json` has the names that the cache itself uses.
_KINDS = {
    "model": "code of a model",
    "functions": "code of a model's parts",
    "reading": "which model it is",
    "start": "where it starts",
    "kernel": "the sampler",
    "kernel-object": "the sampler, linked",
}


def _print_removed(n_removed: int, json: bool) -> None:
    if json:
        print_json({"folder": str(cache_folder()), "n_removed": n_removed})
    else:
        print(f"{_entries(n_removed)} removed from {cache_folder()}.")


def _entry(entry) -> dict:
    header = entry.header
    known = {} if header is None else {"kind": header.kind, "key": header.key, "about": header.about}
    used = datetime.fromtimestamp(entry.used).astimezone().isoformat(timespec="seconds")
    facts = {"path": str(entry.path), "n_bytes": entry.n_bytes, "used": used, "is_readable": header is not None}
    return facts | known | ({} if header is None else {"environment": header.environment})


def _print_entries(entries) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for head in ("kind", "size", "last used", "what"):
        table.add_column(head, justify="right" if head == "size" else "left", overflow="fold")
    for entry in entries:
        header = entry.header
        kind = "?" if header is None else _KINDS.get(header.kind, header.kind)
        what = "damaged, or of another version of nutmill" if header is None else header.about or header.key[:16]
        used = datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M")
        table.add_row(*map(Text, (kind, size(entry.n_bytes), used, what)))
    stdout_console().print(table)


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"
