"""The layout that a batch job takes: of a file, or the profile that is stored for its model on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nutmill.cli.console import stage
from nutmill.cli.model_file import ModelPlace, check_file, compiled_model
from nutmill.nuts.group_size import GROUP_SIZE

if TYPE_CHECKING:
    from nutmill.layout.profile import Profile


class Chosen(NamedTuple):
    """What was found."""

    profile: "Profile | None"  # None: one BLAS thread a chain, as many chains at once as a task has
    note: str | None = None  # what the user should know

    @property
    def cpus(self) -> int:
        """Cores that a group of chains can use."""
        if self.profile is None:
            return GROUP_SIZE
        layout = self.profile.layout
        return min(GROUP_SIZE, layout.chains_at_once) * layout.threads_of_chain


def choose(source: str, place: ModelPlace, chains: int, data: Path | None = None) -> Chosen:
    """Find a layout.

    Parameters
    ----------
    source : str
        "auto", "none", or the path of a profile.
    place : ModelPlace
        Of the model; it is loaded and compiled for "auto".
    chains : int
        Of the whole job.
    data : Path or None
        Arrays for the model.

    Raises
    ------
    NutmillError
        If the profile cannot be used, or the model cannot be loaded.
    """
    check_file(place.path)
    if source == "none":
        return Chosen(None)
    from nutmill.layout import profile as profiles

    if source != "auto":
        named = profiles.load(source)
        return Chosen(named, None if named.doubt is None else f"{source} is taken as you say, but was {named.doubt}")
    if not any(profiles.profile_folder().glob("*.json")):
        return Chosen(None, _note(place))
    compiled = compiled_model(place, data)
    with stage("Looking for a stored layout"):
        from nutmill.sampling.stored_profile import stored_profile

        # Tuned for one group, as its tasks are, or for the whole job.
        found = stored_profile(compiled, GROUP_SIZE) or stored_profile(compiled, chains)
    return Chosen(found, None if found is not None else _note(place))


def _note(place: ModelPlace) -> str:
    return (
        f"No layout of this model is stored for this machine that was measured with high confidence, so each chain has "
        f"one BLAS thread. Where that may not be "
        f"the best: `nutmill tune {place} --profile layout.json` on a node of the cluster, then --layout layout.json."
    )
