from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from multitask.errors import UserError
from multitask.training import checkpoint
from multitask.training.checkpoint import load_checkpoint, save_checkpoint
from multitask.utils import files

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
STATE: dict[str, Any] = {
    "network": {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)},
    "optimizer": {"state": {0: {"step": torch.tensor(3.0)}, 1: {}}, "groups": [{"lr": 1e-3, "params": [0, 1]}]},
    "ema": None,
    "history": [{"epoch": 1, "best": True, "val": None}],
}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return (
            isinstance(other, Tensor)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and one.contiguous().reshape(-1).view(torch.uint8).equal(other.reshape(-1).view(torch.uint8))
        )
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    return type(one) is type(other) and one == other


def tensors() -> st.SearchStrategy[Tensor]:
    shapes = st.lists(st.integers(0, 3), max_size=3)
    return st.builds(
        lambda shape, dtype, seed: (
            torch.randint(0, 2 if dtype == torch.bool else 100, shape, generator=torch.Generator().manual_seed(seed))
        ).to(dtype),
        shapes,
        st.sampled_from(DTYPES),
        st.integers(0, 99),
    )


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | tensors()
KEYS = st.integers(-3, 30) | st.text("ab/'.1é", max_size=4)
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(state=st.dictionaries(KEYS, NESTED, max_size=4))
@settings(deadline=None, max_examples=150)
def test_any_nested_state_goes_round(state: dict[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    save_checkpoint(path, state)
    assert same(state, load_checkpoint(path))


def test_keys_that_write_alike_keep_their_own_tensors(tmp_path: Path) -> None:
    state = {1: torch.tensor(1), "1": torch.tensor(2), "a": {"b": torch.tensor(3)}, "a/b": torch.tensor(4)}
    save_checkpoint(tmp_path / "x", state)
    assert same(state, load_checkpoint(tmp_path / "x"))


def test_tensors_of_any_memory_layout_and_shared_memory_go_round(tmp_path: Path) -> None:
    base = torch.randn(2, 3, 4, 5)
    state = {"nhwc": base.to(memory_format=torch.channels_last), "slice": base[:, 1], "base": base, "again": base}
    save_checkpoint(tmp_path / "x", state)
    assert same(state, load_checkpoint(tmp_path / "x"))


def test_what_cannot_be_kept_is_our_mistake(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="/a/1 holds a set"):
        save_checkpoint(tmp_path / "x", {"a": [1, {2}]})
    assert not list(tmp_path.iterdir())


def test_weights_can_be_read_by_safetensors_alone(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "x.safetensors", STATE)
    assert torch.equal(load_file(tmp_path / "x.safetensors")["/network/a.weight"], STATE["network"]["a.weight"])


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"last\.safetensors: no such checkpoint$"):
        load_checkpoint(tmp_path / "last.safetensors")


def test_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is damaged"):
        load_checkpoint(tmp_path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    save_checkpoint(path, STATE)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match=f"^{path}: is damaged") as caught:
            load_checkpoint(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("flip", [0x01, 0x0F, 0x80])
def test_no_flipped_bits_go_unseen(flip: int, tmp_path: Path) -> None:
    path = tmp_path / "x"
    save_checkpoint(path, STATE)
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= flip
        path.write_bytes(damaged)
        try:
            state = load_checkpoint(path)
        except UserError:
            continue
        assert same(STATE, state), place  # a header's padding, which means nothing


@pytest.mark.parametrize("old", ["F32", "/network/a.bias"])
def test_header_that_says_something_else_of_the_same_bytes_is_refused(old: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    save_checkpoint(path, STATE)
    content = path.read_bytes()
    new = {"F32": "I32", "/network/a.bias": "/network/a.bibs"}[old]
    place = content.index(f'"{old}"'.encode())
    path.write_bytes(content[: place + 1] + new.encode() + content[place + 1 + len(new) :])
    with pytest.raises(UserError, match="is damaged"):
        load_checkpoint(path)


def test_other_version_and_plain_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(UserError, match=r"is no checkpoint of version 1, found None$"):
        load_checkpoint(path)
    monkeypatch.setattr(checkpoint, "_VERSION", 2)
    save_checkpoint(path, STATE)
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"is no checkpoint of version 1, found 2$"):
        load_checkpoint(path)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_write_that_fails_leaves_the_old_file_and_nothing_else(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    save_checkpoint(path, STATE)
    before = path.read_bytes()

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, step, full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        save_checkpoint(path, {"other": torch.ones(3)})
    monkeypatch.undo()
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x"]


def test_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    save_checkpoint(path, {"a": torch.zeros(2)})
    seen = []
    real = os.replace

    def replace(source: str, target: Path) -> None:
        seen.append((load_checkpoint(Path(source))["a"].tolist(), load_checkpoint(path)["a"].tolist()))
        real(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    save_checkpoint(path, {"a": torch.ones(2)})
    assert seen == [([1.0, 1.0], [0.0, 0.0])]  # the new is whole before the old goes
    assert load_checkpoint(path)["a"].tolist() == [1.0, 1.0]


def test_a_pipe_in_a_checkpoints_place_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    os.mkfifo(path)
    with pytest.raises(UserError, match=r"best\.safetensors: must be a file, found a pipe"):
        load_checkpoint(path)
