"""Two runs compared to the bit, and what ends one early."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from multitask.config import Config
from multitask.progress import EpochRecord
from multitask.training.checkpoint import load_checkpoint

MakeConfig = Callable[..., Config]
TIMES = ("seconds", "images_per_s")


class StoppedError(Exception):
    """What a caller's ``on_epoch`` raises to end a run."""


def stop_after(epoch: int) -> Callable[[dict[str, Any]], None]:
    def on_epoch(record: EpochRecord) -> None:
        if record.epoch == epoch:
            raise StoppedError

    return on_epoch


def history(folder: Path) -> list[dict[str, Any]]:
    """``metrics.jsonl`` without its times."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def report(folder: Path) -> dict[str, Any]:
    """``report.json`` without what differs between two runs of one config: name and times."""
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    for key in ("run", "created"):
        found.pop(key)
    found["training"].pop("seconds")
    return found


def assert_same_bits(one: Any, other: Any, path: str = "") -> None:
    assert type(one) is type(other), path
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, path
        assert torch.equal(one, other), path
    elif isinstance(one, dict):
        assert list(one) == list(other), path
        for key in one:
            if key not in TIMES:
                assert_same_bits(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), path
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same_bits(a, b, f"{path}/{index}")
    else:
        assert one == other, path


def states(one: Path, other: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """The checkpoints of two runs, with their names."""
    for name in ("best", "last"):
        first, second = (load_checkpoint(folder / "checkpoints" / f"{name}.safetensors") for folder in (one, other))
        yield name, first, second


def assert_same_run(one: Path, other: Path) -> None:
    for name, first, second in states(one, other):
        assert_same_bits(first, second, name)
    assert history(one) == history(other)
    assert report(one) == report(other)
    for name in ("split.csv", "predictions-val.csv", "config.yaml", "data.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def assert_same_but_for_rounding(one: Path, other: Path) -> None:
    for _, first, second in states(one, other):
        torch.testing.assert_close(first["network"], second["network"], rtol=1e-4, atol=1e-6)
