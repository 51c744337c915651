from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.bench import plain_timm, whole
from multitask.bench.timing import of_speeds
from multitask.config import Config
from multitask.errors import UserError
from multitask.runs.data_module import DataModule


@pytest.fixture
def config(tiny: Callable[..., Config]) -> Config:
    return tiny(whole._COMMON)


def test_the_plain_script_trains_on_the_same_images(config: Config, tmp_path: Path) -> None:
    backbone, training = config.model.backbone, config.training
    side = whole._Plain(DataModule(config), backbone, training, config.device, config.seed, tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    module, settings = side.words(out)
    assert module == plain_timm.__name__
    given = json.loads(Path(settings).read_text(encoding="utf-8"))
    plain_timm.main(plain_timm.PlainSettings(**{**given, "workers": 1}))
    assert len(side.epoch_speeds(out)) == whole.EPOCHS
    assert len(list((tmp_path / "images" / "train").glob("*/*"))) == side.num_images
    assert all(path.is_file() for path in (tmp_path / "images").glob("*/*/*"))


def test_ours_is_the_command_on_a_config_file(config: Config, tmp_path: Path) -> None:
    words = whole.TrainProgram(config.to_yaml(), False, tmp_path).words(tmp_path / "out")
    assert words[:2] == ["multitask", "train"]
    assert Path(words[2]).is_file()
    assert words[-1] != "--allow-extensions"
    assert whole.TrainProgram(config.to_yaml(), True, tmp_path).words(tmp_path / "out") == [
        *words,
        "--allow-extensions",
    ]


def test_a_side_that_fails_says_why(config: Config, tmp_path: Path) -> None:
    side = whole.TrainProgram(config.to_yaml(), False, tmp_path)
    (tmp_path / "whole.yaml").write_text("nonsense: 1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"bench: multitask ended with exit code 2: .*nonsense"):
        side()


def test_speeds_come_to_the_median_of_their_ratios() -> None:
    found = of_speeds("a", 0.9, [(2.0, 1.0), (3.0, 1.0), (8.0, 2.0)])
    assert (found.ratio, found.ours, found.other, found.bound) == (3.0, 3.0, 1.0, 0.9)
