"""Options that several commands have."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 4 if something says not to trust the draws yet.")]
