"""An extension that is missing, fails or registers a name twice: one line, code 2, in every command that reads one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config
from multitask.losses import LOSSES
from multitask.runs.folder import RunFolder
from multitask.settings.extensions import temporary_extensions
from multitask.settings.yaml_text import dump_yaml

Call = Callable[..., Any]

TWICE = """
from typing import Literal

from multitask.losses import LOSSES
from multitask.losses.classwise import PlainSettings


class FocalSettings(PlainSettings):
    name: Literal["focal"] = "focal"

    def per_class(self, log_probs):
        return -log_probs


LOSSES["focal"] = FocalSettings
"""
MISTAKES = {
    "missing": (None, ": no such file"),
    "not python": ("", ": must be a file of Python code, whose name ends in .py"),
    "fails": ("LIMIT = 3\n1 / (LIMIT - 3)\n", ", line 2: ZeroDivisionError: division by zero"),
    "does not parse": ("def mine(:\n", ", line 1: SyntaxError: invalid syntax"),
    "ends the process": ("import sys\nsys.exit(0)\n", ", line 2: SystemExit: 0"),
    "registers twice": (
        TWICE,
        ", line 15: loss 'focal': is registered twice, as multitask.losses.likelihood.FocalSettings and as "
        "multitask_extension_mine_",
    ),
}


@pytest.fixture(autouse=True)
def _gone_afterwards() -> Iterator[None]:
    with temporary_extensions():
        yield


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_everywhere(
    call: Call, tiny: Callable[..., Config], mistake: str, tmp_path: Path
) -> None:
    code, said = MISTAKES[mistake]
    path = tmp_path / ("mine.txt" if mistake == "not python" else "mine.py")
    if code is not None:
        path.write_text(code)
    run, config, out = tmp_path / "run", tmp_path / "config.yaml", tmp_path / "out"
    run.mkdir()
    data = dump_yaml({"extensions": [str(path)], **tiny().model_dump(mode="json")})
    config.write_text(data)
    RunFolder(run).config.write_text(data)
    space = {"training.lr": {"low": 1e-4, "high": 1e-2}}
    study, bakeoff = tmp_path / "study.yaml", tmp_path / "bakeoff.yaml"
    study.write_text(dump_yaml({"name": "s", "base": str(config), "budget": {"trials": 2}, "space": space}))
    contenders = {"one": None, "two": {"overrides": {"training.lr": 0.1}}}
    bakeoff.write_text(dump_yaml({"name": "b", "base": str(config), "contenders": contenders, "seeds": [1]}))
    lines: list[list[object]] = [
        ["train", config, "--out", out],
        ["study", study, "--out", out],
        ["bakeoff", bakeoff, "--out", out],
        ["audit", run],
        ["audit", run, "--apply", tmp_path / "corrections.yaml"],
        ["evaluate", run],
        ["predict", run, "--data", tmp_path, "-o", out],
        ["report", run],
    ]
    focal = LOSSES["focal"]
    for words in lines:
        line = call(*words, "--allow-extensions").refusal()
        where = RunFolder(run).config if run in words else config
        contender = "contenders.one: " if words[0] == "bakeoff" else ""
        assert line.startswith(f"{contender}{where}: extensions: {path}{said}"), (words, line)
        assert LOSSES["focal"] is focal
    assert not out.exists()


WIDE = """
from typing import Literal

from multitask.model.heads import HEADS, NetSettings


class WideSettings(NetSettings):
    name: Literal["wide"] = "wide"

    def build(self, widths, task):
        from torch import nn

        from multitask.model.heads.layers import PooledLogits

        return PooledLogits(nn.Linear(widths.pooled, task.num_classes + 1))


HEADS["wide"] = WideSettings
"""


def test_a_row_that_fails_in_training_is_told_of_its_check(
    call: Call, config_file: Callable[..., Path], tmp_path: Path
) -> None:
    config = config_file()
    (tmp_path / "mine.py").write_text(WIDE)
    config.write_text(f"extensions: [mine.py]\n{config.read_text()}")
    options = ["--set", "heads.age.net=wide", "--out", tmp_path / "run", "--allow-extensions"]
    with pytest.raises(RuntimeError) as caught:
        call("train", config, *options)
    assert "rows of mine.py were in use; multitask.testing has a check of each kind" in caught.value.__notes__[0]
