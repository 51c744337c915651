"""``multitask config``: a config resolved, or every key that there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from multitask.cli.config import command
from multitask.config import Config
from multitask.errors import UserError
from multitask.reporting.keys import keys_markdown
from multitask.settings.extensions import ExtensionError, temporary_extensions
from multitask.settings.keys import sections_of


def test_keys_are_printed_as_markdown() -> None:
    done = CliRunner().invoke(command, ["--keys"])
    assert (done.exit_code, done.output) == (0, keys_markdown(sections_of(Config)))


MINE = '''
from typing import Literal
from multitask.losses import LOSSES
from multitask.losses.classwise import PlainSettings
from multitask.settings import Fraction

class MineSettings(PlainSettings):
    """A loss of my own."""
    name: Literal["mine"] = "mine"
    share: Fraction = 0.5
    """Of mine."""
    def per_class(self, log_probs):
        return -log_probs

LOSSES["mine"] = MineSettings
'''


def test_keys_of_a_configs_extensions_are_printed_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "mine.yaml").write_text("extensions: [mine.py]")
    words = ["--keys", str(tmp_path / "mine.yaml")]
    with pytest.raises(ExtensionError, match="then say --allow-extensions"):
        CliRunner().invoke(command, words, catch_exceptions=False)
    with temporary_extensions():
        printed = CliRunner().invoke(command, [*words, "--allow-extensions"]).output.splitlines()
    assert "| `mine` | A loss of my own. |" in printed
    assert "| `heads.<head>.loss.share` | `mine` | number from 0 to 1 | `0.5` | Of mine. |" in printed


@pytest.mark.parametrize("option", ["--keys", "--schema"])
def test_keys_of_no_config_cannot_be_set(option: str) -> None:
    with pytest.raises(UserError, match=f"--set: changes a setting of CONFIG, and there is none; {option} alone"):
        CliRunner().invoke(command, [option, "--set", "seed=1"], catch_exceptions=False)


def test_the_shipped_schema_is_what_is_printed() -> None:
    done = CliRunner().invoke(command, ["--schema"])
    shipped = (Path(__file__).parents[2] / "configs/schema.json").read_text()
    assert (done.exit_code, done.output == shipped) == (0, True), ".ci/keys writes it anew"


def test_keys_and_schema_are_asked_for_one_by_one() -> None:
    done = CliRunner().invoke(command, ["--keys", "--schema"])
    assert (done.exit_code, "ask for one of them" in done.output) == (2, True)


def test_without_keys_a_config_is_needed() -> None:
    done = CliRunner().invoke(command, [])
    assert done.exit_code == 2
    assert "Missing argument 'CONFIG'" in done.output
