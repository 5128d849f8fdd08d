"""The directive `nutmill-commands`: every command of the command line, with what its help says."""

from collections.abc import Iterator

from sphinx.util.docutils import SphinxDirective
from typer.main import get_command

from nutmill.cli.app import app as typer_app


def _pages(command, path: str) -> Iterator[str]:
    """Give one piece of Markdown for each command below `command` that does something."""
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from _pages(below, f"{path} {name}")
        return
    context = command.make_context(path, [], resilient_parsing=True)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    parts = [f"## `{path}`", f"```sh\n{usage}\n```", _prose(command.help)]
    parts += [_entry(*told) for one in command.get_params(context) if (told := one.get_help_record(context))]
    yield "\n\n".join([*parts, *_closing(command.epilog)])


def _closing(epilog: str | None) -> Iterator[str]:
    """Give the end of a command's help: its examples as code, the rest as it is."""
    paragraphs = (epilog or "").split("\n\n")
    examples = [line.strip() for line in paragraphs if line.startswith("  ")]
    if examples:
        yield f"{paragraphs[0]}\n\n```sh\n{chr(10).join(examples)}\n```"
    yield _prose(paragraphs[-1])


def _prose(text: str | None) -> str:
    return " ".join((text or "").replace("\b", "").split())


def _entry(name: str, text: str | None) -> str:
    return f"`{name.strip()}`\n: {_prose(text).replace('[', chr(92) + '[') or '…'}"


class Commands(SphinxDirective):
    """Write them at this place of the page."""

    def run(self):
        """Give the sections of all commands."""
        text = "\n\n".join(_pages(get_command(typer_app), "nutmill"))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app):
    """Make the directive known."""
    app.add_directive("nutmill-commands", Commands)
    return {"parallel_read_safe": True}
