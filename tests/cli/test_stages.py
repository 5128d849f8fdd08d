"""What a command says while something takes long."""

import re
import time

import pytest

from nutmill.cli.console import stage


def test_what_is_quick_says_nothing(capsys):
    with stage("Loading model.py", quiet_s=60.0):
        pass
    assert capsys.readouterr() == ("", "")


def test_what_takes_long_says_so_again_and_again(capsys):
    said = ""
    with stage("Loading model.py", quiet_s=0.01, repeat_s=0.01):
        deadline = time.monotonic() + 60.0
        while said.count("\n") < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
            out, err = capsys.readouterr()
            said += err
            assert out == ""
    assert re.fullmatch(r"(Loading model\.py \(\d+ s\)\n)+", said)


def test_an_error_ends_it(capsys):
    with pytest.raises(ValueError, match="wrong"), stage("Loading model.py", quiet_s=60.0):
        raise ValueError("wrong")
    assert capsys.readouterr() == ("", "")
