"""``multitask recipe``, as a user types it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.settings.yaml_text import dump_yaml

Call = Callable[..., Any]


def test_a_recipe_tells_its_story_and_can_be_told_again(
    call: Call, config_file: Callable[..., Path], tmp_path: Path
) -> None:
    config = config_file({"training.epochs": 1, "training.schedule.warmup_epochs": 0, "data.val_fraction": 0.25})
    recipe = {"name": "short", "base": str(config), "judges": {"folds": 2}, "stages": ["baseline"]}
    (tmp_path / "short.yaml").write_text(dump_yaml(recipe))
    out = tmp_path / "out"
    done = call("recipe", tmp_path / "short.yaml", "--budget", "1h", "-o", out)
    assert done.code == 0, done.err
    assert "Nothing was kept: the config as given stands." in done.out
    assert (out / "recipe.html").is_file()
    shown = call("report", out)
    assert shown.code == 0, shown.err
    assert "recipe short" in shown.out
    (out / "recipe.html").unlink()
    (out / "recipe.html").mkdir()  # in the way of the page
    refused = call("report", out)
    assert "recipe.html" in refused.refusal()
    assert "recipe short" in refused.out
    assert call("config", out / "best.yaml").code == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "--budget: must say how long the recipe may take, as --budget 2h"),
        (("--budget", "soon"), "--budget: must be a time"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(
    call: Call, config_file: Callable[..., Path], tmp_path: Path, words: tuple[str, ...], line: str
) -> None:
    done = call("recipe", config_file({"data.val_fraction": 0.25}), *words, "-o", tmp_path / "out")
    assert done.code == 2
    assert line in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
