"""An epoch of shards in slices: each batch once, in the epoch's order, with the weights that are its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from multitask.bench import stream
from multitask.bench.stream import Slice, Slices, measure_stream, write_shards
from multitask.config import Config
from multitask.data.dataset import Dataset
from multitask.data.loading import Batches
from multitask.errors import UserError
from multitask.progress import Progress
from multitask.runs.data_module import DataModule
from multitask.settings.yaml_text import dump_yaml


@pytest.fixture
def sharded(tiny: Callable[..., Config], tmp_path: Path) -> tuple[Config, Dataset]:
    """A config that reads a tiny set from shards, and what that set was."""
    config = tiny()
    given = DataModule(config).dataset
    (tmp_path / "shards").mkdir()
    write_shards(given.samples, tmp_path / "shards")
    source = {"name": "webdataset", "group": "group"}
    changes = {"data.root": str(tmp_path / "shards"), "data.source": source, "data.sampler": {"name": "stream"}}
    return config.with_changes(changes), given


def test_shards_say_what_the_samples_do(sharded: tuple[Config, Dataset], monkeypatch: pytest.MonkeyPatch) -> None:
    config, given = sharded
    found = DataModule(config).samples
    assert found.labels.tolist() == given.samples.labels.tolist()
    assert np.array_equal(found.numbers, given.samples.numbers, equal_nan=True)
    assert found.groups.tolist() == given.samples.groups.tolist()


def test_slices_are_the_epochs(sharded: tuple[Config, Dataset], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BATCHES", 2)
    data = DataModule(sharded[0].with_changes({"training.batch_size": 8}))
    batches = data.batches("train", Progress(), torch.device("cpu"), train=True)
    expected = [batch.images for epoch in (1, 2) for batch in batches.epoch(epoch)]
    weights = np.concatenate([batches.labelled_weights(epoch) for epoch in (1, 2)])
    found, known = [], []
    with closing(Slices(batches)) as slices:
        for _ in range(len(expected) // 2):
            one = slices.next()
            known.append(one.labelled_weights(1))
            made = [batch.images for batch in one.epoch(1)]
            assert (len(made), sum(map(len, made))) == (one.num_batches, one.num_images)
            found += made
    assert all(torch.equal(image, other) for image, other in zip(found, expected, strict=True))
    assert np.concatenate(known).tolist() == weights.tolist()


def test_both_clocks_are_measured_in_turns(
    sharded: tuple[Config, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BATCHES", 1)
    monkeypatch.setattr(stream, "ROUNDS", 2)
    path = tmp_path / "config.yaml"
    path.write_text(dump_yaml(sharded[0].model_dump(mode="json")), encoding="utf-8")
    found = measure_stream(path, Progress())
    assert [(row.name.partition("alone")[2], row.bound) for row in found] == [
        (", one core's processor time", 0.95),
        (", on the wall", 0.95),
    ]
    assert all(0 < row.ratio < 10 for row in found)


def test_each_round_gives_the_speed_from_shards_first(
    sharded: tuple[Config, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BATCHES", 1)
    data = DataModule(sharded[0])
    batches = data.batches("train", Progress(), torch.device("cpu"), train=True)
    clock = [0.0]

    class Stepped:
        """Training in which an image from shards takes 2 s, and one from memory 1 s."""

        def train_epoch(self, epoch: int, served: Batches, progress: Progress) -> None:
            clock[0] += served.num_images * (2.0 if isinstance(served, Slice) else 1.0)
            list(served.epoch(epoch))

    with closing(Slices(batches)) as slices:
        found = stream._speeds(cast(Any, Stepped()), slices, lambda: clock[0])
    assert len(found) == stream.ROUNDS > 2
    assert np.allclose(found, [[0.5, 1.0]] * stream.ROUNDS)


def test_a_config_without_a_stream_is_refused(tiny: Callable[..., Config], tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump_yaml(tiny().model_dump(mode="json")), encoding="utf-8")
    with pytest.raises(UserError, match=r"--stream: data\.sampler must be \{name: stream\}, found .*"):
        measure_stream(path, Progress())
