"""What a function returns is told in sentences here, and not as a type with a text: Napoleon is told so."""


def _returns_as_sentences(app, what, name, obj, options, lines):
    if "Returns" not in lines:
        return
    first = lines.index("Returns")
    is_underlined = first + 1 < len(lines) and set(lines[first + 1].strip()) == {"-"}
    if not is_underlined:
        return
    last = first + 2
    while last < len(lines) and lines[last].strip():
        last += 1
    told = lines[first + 2 : last]
    if any(line.startswith(" ") for line in told):  # a type, and its text below
        return
    lines[first:last] = ["", "", f":returns: {told[0]}", *(f"    {line}" for line in told[1:])]


def setup(app):
    """Come before Napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", _returns_as_sentences, priority=400)
    return {"parallel_read_safe": True}
