"""`nutmill explain`: what happens under the hood of a model, measured and in plain words."""

import contextlib
import sys

from nutmill.cli import model_file, options
from nutmill.cli.console import print_json, stage, stdout_console


def explain(model: options.Model, *, budget: options.Budget = 20.0, json: options.Json = False) -> None:
    """Say what runs when a model is sampled here: what was compiled, what calls BLAS, what bounds a gradient."""
    with contextlib.redirect_stdout(sys.stderr):
        with stage(f"Loading {model.path}"):
            loaded = model_file.load_model(model)
        from nutmill.explanation.explaining import explain as measure

        found = measure(loaded, budget_s=budget)
    if json:
        print_json(found.as_dict())
        return
    from rich.text import Text

    from nutmill.explanation.answers import answers

    console = stdout_console()
    for number, (question, said) in enumerate(answers(found).items()):
        if number:
            console.print()
        console.print(Text(question, style="bold"))
        for sentence in said:
            console.print(Text(f"  {sentence}"))
