"""What `nutmill.compare` gives back: printed it is tables and sentences, and it writes itself as JSON and as a page."""

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

from nutmill.comparison import page
from nutmill.comparison.rounds import ComparisonSettings
from nutmill.comparison.summary import Summary
from nutmill.comparison.tables import Table, aligned, sentences_of, tables_of


class Comparison(NamedTuple):
    """What samplers have done on one model.

    Attributes
    ----------
    title : str
    date : str
    settings : ComparisonSettings
    machine : dict
        Processor, cores, memory, software.
    rows : list of dict
        One for each run, see `rounds.measure`.
    summaries : list of Summary
        One for each sampler.
    missing : dict of str to tuple of str
        Samplers that were not run, with the packages that they need.
    notes : list of str
        Sentences on what may have disturbed the measurement.
    """

    title: str
    date: str
    settings: ComparisonSettings
    machine: dict
    rows: list[dict]
    summaries: list[Summary]
    missing: dict[str, tuple[str, ...]]
    notes: list[str]

    def as_dict(self) -> dict:
        """Give all of it as plain values for JSON; what was not measured is null."""
        nested = {"settings": self.settings._asdict(), "summaries": [each._asdict() for each in self.summaries]}
        return _plain(self._asdict() | nested)

    @property
    def tables(self) -> list[Table]:
        """The numbers of all samplers that have draws, side by side."""
        return tables_of(self.summaries)

    @property
    def sentences(self) -> list[str]:
        """Who was first, what disagrees, what failed, what may have disturbed it, and what could be installed."""
        return sentences_of(self.summaries, self.notes, self.missing)

    def to_html(self, path: str | os.PathLike) -> None:
        """Write a page with tables and plots, which needs no other file and no network."""
        Path(path).write_text(self._page())

    def __str__(self) -> str:
        return "\n\n".join([self.title, *map(aligned, self.tables), "\n".join(self.sentences)])

    def __repr__(self) -> str:
        return f"Comparison({self.title!r}, {', '.join(each.sampler for each in self.summaries)})"

    def _repr_html_(self) -> str:
        return page.for_notebook(self.title, self.sentences, self.tables)

    def _page(self) -> str:
        about, settings = self.machine, self.settings
        date = self.date.replace("T", " ").replace("+00:00", " UTC")
        about_it = (
            f"{date}, {about['cpu']}, {settings.cores} of {about['usable_cores']} usable cores, Python "
            f"{about['python']}; {settings.chains} chains of {settings.draws} draws, {_runs(settings.repeats)}."
        )
        opening = page.opening(self.title, about_it, self.sentences)
        parts = [*opening, *page.plots_of(self.summaries), *map(page.table_html, self.tables)]
        return page.document(self.title, [*parts, page.closing(about)])


def _runs(repeats: int) -> str:
    """Say how often each sampler has run."""
    if repeats == 1:
        return "one run of each sampler, in a process of its own"
    return f"medians of {repeats} runs of each sampler, every run in a process of its own"


def _plain(value: object) -> Any:
    """Turn NaN and infinity, which JSON does not know, into null, however deep."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
