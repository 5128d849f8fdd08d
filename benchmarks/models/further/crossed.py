"""Reading times of 40 people and 30 words, each with an effect of its own: Bambi's model, priors and coordinates."""

import numpy as np
import pymc as pm

PEOPLE, WORDS, SEED = 40, 30, 20261209


def build() -> pm.Model:
    """Build what `bambi.Model("time ~ length + (length|person) + (1|word)", data)` builds, of 115 parameters."""
    import bambi
    import pandas as pd

    model = bambi.Model("time ~ length + (length|person) + (1|word)", pd.DataFrame(arrays()))
    model.build()
    return model.backend.model


def arrays() -> dict[str, np.ndarray]:
    """Make the data by their names: for each reading the person, the word, its length, and the time."""
    rng = np.random.default_rng(SEED)
    person, word = (index.ravel() for index in np.meshgrid(np.arange(PEOPLE), np.arange(WORDS), indexing="ij"))
    length = rng.normal(size=WORDS)[word]
    time = 6.0 + (0.1 + 0.05 * rng.normal(size=PEOPLE)[person]) * length
    time = time + 0.2 * rng.normal(size=PEOPLE)[person] + 0.1 * rng.normal(size=WORDS)[word]
    return {
        "person": np.char.add("p", person.astype(str)),
        "word": np.char.add("w", word.astype(str)),
        "length": length,
        "time": time + 0.3 * rng.normal(size=time.size),
    }
