"""Damaged files come to the same bytes or to one sentence, as `tests/campaign.py` tries it many times over."""

import campaign
import pytest
import zoo
from damage import HELD


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_damages_give_the_same_bytes_or_one_sentence(tmp_path, model_cache, seed):
    found = campaign.run(zoo.compiled("regression"), 60, 100, seed=seed, folder=tmp_path)
    assert set(found) == HELD, found
