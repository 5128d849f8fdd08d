"""Links from a page to files outside of docs/, such as a page of benchmarks, become links to copies of these files."""

import re
from pathlib import Path

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)")


def _lead_to_copies(app, docname, content):
    folder = (Path(app.srcdir) / docname).parent

    def copied(link: re.Match) -> str:
        text, target, _ = link.groups()
        file = (folder / target).resolve()
        if file.is_relative_to(app.srcdir) or not file.is_file():
            return link[0]
        return f"{{download}}`{text.replace('`', '')} <{target}>`"

    content[0] = _LINK.sub(copied, content[0])


def setup(app):
    """Read each page after its links are changed."""
    app.connect("source-read", _lead_to_copies)
    return {"parallel_read_safe": True}
