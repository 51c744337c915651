"""Every command in a real terminal, where bars move."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pyte
import pytest

from multitask.cli import COMMANDS
from multitask.config import Config
from multitask.data.synthetic import draw_set
from multitask.runs.cross_validation import run_folds
from multitask.runs.run import run
from multitask.settings.yaml_text import dump_yaml
from tests.cli.conftest import Called
from tests.processes import Forked

QUICK = {
    "training.epochs": 1,
    "training.schedule.warmup_epochs": 0,
    "data.val_fraction": 0.2,
    "data.split_seed": 0,
}
ELSEWHERE = {"demo", "bench", "serve"}
"""The commands that take minutes, or do not end by themselves."""

WORDS = {
    "synth": ["drawn", "--people", "5"],
    "init": ["new", "-o", "init.yaml"],
    "eda": ["several.yaml", "--out", "eda.html"],
    "train": ["tiny.yaml", "--out", "trained"],
    "study": ["study.yaml", "--out", "study", "--confirm", "1", "--seeds", "2"],
    "bakeoff": ["bakeoff.yaml", "--out", "bakeoff"],
    "recipe": ["recipe.yaml", "--budget", "1h", "-o", "recipe"],
    "evaluate": ["run", "--split", "all", "--views", "flip"],
    "audit": ["folds", "--out", "audit"],
    "ensemble": ["run", "run2", "-o", "both", "--weights", "equal"],
    "final": ["folds", "-o", "final"],
    "pseudo": ["folds", "--data", "new/train/images", "-o", "labels.csv", "--precision", "0.2",
               "--certainty", "0.5", "--rounds", "1"],
    "predict": ["run", "new/train/images", "-o", "answers.csv"],
    "explain": ["run", "new/train/images", "-o", "why.html"],
    "export": ["run", "-o", "run.onnx"],
    "report": ["run"],
    "runs": ["."],
    "compare": ["run", "run2"],
    "config": ["tiny.yaml"],
    "cache": ["tiny.yaml", "--make", "--set", "data.cache=disk", "--set", "data.cache_dir=kept"],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tiny: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what the commands take."""
    folder = tmp_path_factory.mktemp("terminal")
    draw_set(folder / "new", people=12, seed=7)
    config = tiny(QUICK)
    run(config, folder / "run")
    run(tiny({**QUICK, "seed": 1}), folder / "run2")
    run_folds(config, 2, folder / "folds")
    source = {"root": config.data.root, "source": {"name": "synthetic"}}
    sources = {"some": source, "others": {**source, "root": str(folder / "new"), "tasks": ["gender"]}}
    several = {"name": "several", "target": "some", "sources": sources}
    files = {
        "tiny": config.model_dump(mode="json"),
        "several": tiny({**QUICK, "data.root": "", "data.source": several}).model_dump(mode="json"),
        "study": {"name": "s", "base": "tiny.yaml", "budget": {"trials": 2}, "space": {"heads": "head_weights"}},
        "bakeoff": {
            "name": "b",
            "base": "tiny.yaml",
            "contenders": {"flat": {"overrides": {"model.sharing.name": "flat"}}, "shared": {}},
        },
        "recipe": {"name": "r", "base": "tiny.yaml", "judges": {"folds": 2}, "stages": ["baseline", "folds", "final"]},
    }
    for name, data in files.items():
        if name == "bakeoff":  # the flat contender has other heads
            (folder / "plain.yaml").write_text(dump_yaml(config.model_dump(mode="json", exclude={"heads"})))
            data = {**data, "base": "plain.yaml"}
        (folder / f"{name}.yaml").write_text(dump_yaml(data))
    return folder


def in_terminal(words: list[str], folder: Path) -> tuple[int, str]:
    """The exit code of a command, and all that it wrote to a terminal of 24 lines of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment |= {"TERM": "xterm-256color", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "multitask", *words]
    process = Forked(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:  # Linux's end of a terminal that nobody writes to any more
        pass
    finally:
        os.close(ours)
    return process.wait(), written.decode()


def test_every_command_is_tried() -> None:
    assert set(WORDS) | ELSEWHERE == set(COMMANDS)


@pytest.mark.parametrize("name", WORDS)
def test_a_command_ends_well(name: str, folder: Path) -> None:
    code, written = in_terminal([name, *WORDS[name]], folder)
    assert code == 0, written
    assert "Traceback" not in written
    assert written.rfind("\x1b[?25h") >= written.rfind("\x1b[?25l"), "the cursor stays hidden"
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(written)
    assert screen.cursor.x == 0


def test_one_group_is_one_group(call: Callable[..., Called], folder: Path) -> None:
    assert "run, val: 7 images of 1 group\n" in call("report", folder / "run").out
