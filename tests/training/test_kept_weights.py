from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from multitask.errors import DivergedError
from multitask.training.checkpoint import load_checkpoint
from multitask.training.kept_weights import KeptWeights, load_kept

FIXED = {"backbone.a": torch.arange(4.0), "backbone.b": torch.ones(2, 2)}


def state(value: float) -> dict[str, Tensor]:
    return {**FIXED, "head": torch.full((3,), value)}


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def check_whole(path: Path, epoch: int, value: float) -> None:
    for found in (load_kept(path), load_checkpoint(path)):
        assert found["epoch"] == epoch
        assert list(found["network"]) == list(state(value))
        assert all(torch.equal(found["network"][name], tensor) for name, tensor in state(value).items())


def test_what_is_fixed_is_written_once_and_the_file_is_whole_in_the_end(tmp_path: Path) -> None:
    kept, best = KeptWeights(tmp_path, FIXED), tmp_path / "best.safetensors"
    with kept.completed():
        kept.save(1, state(1.0), last=False)
        written = (tmp_path / "frozen.safetensors").stat()
        kept.save(3, {"head": torch.full((3,), 3.0)}, last=False)  # of heads on kept features
        assert (tmp_path / "frozen.safetensors").stat() == written
        assert list(load_checkpoint(best)["network"]) == ["head"]
        found = load_kept(best)
        assert found["epoch"] == 3
        assert all(torch.equal(found["network"][name], tensor) for name, tensor in state(3.0).items())
    assert files(tmp_path) == {"best.safetensors"}
    check_whole(best, 3, 3.0)


def test_the_last_epoch_is_written_whole_at_once(tmp_path: Path) -> None:
    kept = KeptWeights(tmp_path, FIXED)
    kept.save(1, state(1.0), last=True)
    assert files(tmp_path) == {"best.safetensors"}
    check_whole(tmp_path / "best.safetensors", 1, 1.0)


def test_without_anything_fixed_every_epoch_is_whole(tmp_path: Path) -> None:
    kept = KeptWeights(tmp_path, {})
    kept.save(1, state(1.0), last=False)
    assert files(tmp_path) == {"best.safetensors"}
    check_whole(tmp_path / "best.safetensors", 1, 1.0)


def test_where_training_diverges_the_file_is_whole_too(tmp_path: Path) -> None:
    kept = KeptWeights(tmp_path, FIXED)
    kept.save(1, state(1.0), last=False)
    with pytest.raises(DivergedError), kept.completed():
        raise DivergedError("loss")
    assert files(tmp_path) == {"best.safetensors"}
    check_whole(tmp_path / "best.safetensors", 1, 1.0)


def test_where_the_disk_was_full_after_the_fixed_part_what_diverges_is_said(tmp_path: Path) -> None:
    KeptWeights(tmp_path, FIXED).save(1, state(1.0), last=False)
    (tmp_path / "best.safetensors").unlink()
    with pytest.raises(DivergedError), KeptWeights(tmp_path, FIXED).completed():
        raise DivergedError("loss")


def test_what_was_stopped_is_completed_by_who_goes_on(tmp_path: Path) -> None:
    kept = KeptWeights(tmp_path, FIXED)
    kept.save(2, state(2.0), last=False)
    with pytest.raises(KeyboardInterrupt), kept.completed():
        raise KeyboardInterrupt
    assert files(tmp_path) == {"best.safetensors", "frozen.safetensors"}
    with KeptWeights(tmp_path, FIXED).completed():
        pass  # every epoch was finished
    assert files(tmp_path) == {"best.safetensors"}
    check_whole(tmp_path / "best.safetensors", 2, 2.0)
