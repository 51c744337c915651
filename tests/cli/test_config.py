"""``multitask config``: a config resolved, or every key that there is."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from multitask.cli.config import command
from multitask.config import Config
from multitask.errors import UserError
from multitask.reporting.keys import keys_markdown
from multitask.settings.keys import sections_of


def test_keys_are_printed_as_markdown() -> None:
    done = CliRunner().invoke(command, ["--keys"])
    assert (done.exit_code, done.output) == (0, keys_markdown(sections_of(Config)))


def test_keys_are_those_of_any_config() -> None:
    for words in (["--keys", "some.yaml"], ["--keys", "--set", "seed=1"]):
        with pytest.raises(UserError, match="--keys: prints the keys that any config may have; leave CONFIG"):
            CliRunner().invoke(command, words, catch_exceptions=False)


def test_without_keys_a_config_is_needed() -> None:
    done = CliRunner().invoke(command, [])
    assert done.exit_code == 2
    assert "Missing argument 'CONFIG'" in done.output
