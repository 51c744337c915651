"""A small world to damage: images, a table, configs, a run, a study and a bake-off that came to their ends."""

from __future__ import annotations

import contextlib
import hashlib
import io
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from PIL import Image

from multitask.cli import main
from multitask.settings.yaml_text import dump_yaml

HANG_S = 10

CONFIG: dict[str, Any] = {
    "labels": {
        "tasks": {
            "garment": {"classes": ["shirt", "skirt"]},
            "price": {"kind": "binned", "edges": [20, 50]},
        },
        "impossible": [{"garment": "skirt", "price": "<20"}],
    },
    "data": {
        "root": "images",
        "source": {"name": "table", "group": "product"},
        "image_size": [16, 16],
        "val_fraction": 0.4,
        "cache": "memory",
    },
    "augment": {"strength": 0.2, "mix": {"mixup_prob": 0.1}},
    "model": {"backbone": {"name": "test_resnet", "weights": "none"}, "sharing": {"name": "shared"}},
    "heads": {"garment": {"weight": 1.0, "loss": {"name": "focal", "gamma": 1.0}}},
    "joint": {"term": {"name": "low_rank", "rank": 2}},
    "training": {"epochs": 1, "batch_size": 8, "lr": 0.01, "schedule": {"name": "cosine", "warmup_epochs": 0}},
    "decode": {"name": "independent"},
    "device": "cpu",
    "seed": 3,
}
STUDY: dict[str, Any] = {
    "name": "tiny",
    "base": "config.yaml",
    "objective": "joint.macro_f1",
    "budget": {"trials": 2},
    "seed": 1,
    "sampler": {"name": "random"},
    "pruner": {"name": "none"},
    "space": {
        "training.lr": {"low": 0.001, "high": 0.01, "log": True},
        "heads": {"kind": "head_weights"},
        "training.batch_size": {"kind": "categorical", "choices": [4, 8]},
    },
}
BAKEOFF: dict[str, Any] = {
    "name": "tiny",
    "base": "config.yaml",
    "overrides": {"joint": None, "heads": {}},
    "contenders": {"shared": {}, "flat": {"overrides": {"model.sharing.name": "flat"}}},
    "seeds": [0],
    "folds": None,
    "budget": {"images": 24},
    "tune": {},
}


class HungError(BaseException):
    """A command that does not come to its end; no ``Exception``, so that nothing takes it for its own."""


@contextmanager
def alarm(seconds: int) -> Iterator[None]:
    """Ends what takes longer."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise HungError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Answer:
    """What the command line gave: exit code, output, error stream."""

    def __init__(self, code: int, output: str, error: str) -> None:
        self.code, self.output, self.error = code, output, error


def multitask(*words: object, seconds: int = HANG_S) -> Answer:
    """The console script in this process."""
    output, error, code = io.StringIO(), io.StringIO(), 0
    argv, sigterm = sys.argv, signal.getsignal(signal.SIGTERM)
    sys.argv = ["multitask", *map(str, words)]
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error), alarm(seconds):
            main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    finally:
        sys.argv = argv
        signal.signal(signal.SIGTERM, sigterm)
    return Answer(code, output.getvalue(), error.getvalue())


def draw_images(root: Path) -> None:
    """24 images of 12 products in a table, and four to answer."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    rows = ["path,garment,price,product"]
    for index in range(28):
        suffix = ("png", "jpg")[index % 2]
        path = f"images/{index}.{suffix}"
        Image.fromarray(rng.integers(255, size=(18, 16, 3), dtype=np.uint8)).save(root / path)
        garment, price = ("shirt", "skirt")[index // 2 % 2], (10, 30, 60)[index // 2 % 3]
        if index < 24:
            rows.append(f"{path},{garment},{max(price, 20 if garment == 'skirt' else 0)},p{index // 2}")
    (root / "train.csv").write_text("\n".join(rows) + "\n")
    (root / "queries.csv").write_text(
        "path\n" + "".join(f"images/{i}.{('png', 'jpg')[i % 2]}\n" for i in range(24, 28))
    )


def digests(folder: Path) -> dict[str, str]:
    """Every file below a folder, and what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def build(root: Path) -> None:
    """Makes the world."""
    draw_images(root / "images")
    for name, data in (("config", CONFIG), ("study", STUDY), ("bakeoff", BAKEOFF)):
        (root / f"{name}.yaml").write_text(dump_yaml(data))
    steps: tuple[tuple[object, ...], ...] = (
        ("train", root / "config.yaml", "--out", root / "run"),
        ("bakeoff", root / "bakeoff.yaml", "--out", root / "made-bakeoff"),
        ("study", root / "study.yaml", "--out", root / "made-study"),
    )
    for words in steps:
        answer = multitask(*words, "-q", seconds=240)
        assert not answer.code, answer.error
