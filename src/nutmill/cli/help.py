"""How commands explain themselves in the help that Typer prints: examples, what a value looks like, errors in words."""

import re
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from nutmill.cli.outcome import Exit, meaning

# Groups of commands, in the order in which the help of `nutmill` lists them.
MODEL, MACHINE, INSIGHT = "Sample a model", "Fit it to the machine", "Look behind it"

# What Typer's reader of values says, which speaks of inputs and strings.
_IN_WORDS = (
    (r"Input should be a valid integer.*", "it is a whole number."),
    (r"Input should be a valid number.*", "it is a number."),
    (r"Input should be greater than or equal to (\S+)", r"it is at least \1."),
    (r"Input should be less than or equal to (\S+)", r"it is at most \1."),
    (r"Value error, (.*)", r"\1"),
)


def epilog(codes: Sequence[Exit], *examples: str) -> str:
    """Say at the end of a command's help how it is called, and what its exit codes mean.

    `codes` are those that the command may end with, `examples` command lines without their first word.
    """
    # Typer makes a paragraph of what stands between empty lines, and joins the lines of one.
    lines = [f"Example{'s' * (len(examples) > 1)}:", *(f"  nutmill {example}" for example in examples)]
    return "\n\n".join([*(lines if examples else []), f"Exit codes: {'; '.join(map(meaning, codes))}."])


class HelpfulCommand(TyperCommand):
    """A command whose help shows how values look, not which types of Python hold them."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Give the parameters, each with a word for its values."""
        return [_named(one) for one in super().get_params(ctx)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line; what is wrong with a value is said in words."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = in_words(error.message)
            raise


class HelpfulGroup(TyperGroup):
    """A command that has commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Give the parameters, each with a word for its values."""
        return [_named(one) for one in super().get_params(ctx)]


def in_words(message: str) -> str:
    """Say what is wrong with a value without the words of Typer's reader."""
    for pattern, words in _IN_WORDS:
        if re.fullmatch(pattern, message):
            return re.sub(pattern, words, message)
    return message


def _named(parameter: Any) -> Any:
    if isinstance(parameter, TyperArgument):
        # Its name says all; Typer has no option to leave out the type, or the braces of what is required.
        setattr(parameter, "display_type_rich", lambda ctx: None)  # noqa: B010  it is a method to type checkers
        setattr(parameter, "_usage_display_name", lambda: parameter.metavar)  # noqa: B010
    elif isinstance(parameter, TyperOption) and parameter.metavar is None:
        parameter.metavar = _word(parameter)
    return parameter


def _word(option: TyperOption) -> str | None:
    """What to write after an option; None where Typer lists what there is to choose from."""
    if option.is_flag:
        return ""
    kind = option.bare_type()
    return {"int": "N", "float": "X", "str": "TEXT", "Path": "PATH"}.get(kind)
