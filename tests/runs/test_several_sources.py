"""Runs on several sources: what each counts in each loss, how it is augmented, and what a study may try of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multitask.config import Config
from multitask.errors import UserError
from multitask.labels import MISSING
from multitask.progress import Progress
from multitask.runs.build import build_network
from multitask.runs.config import read_run
from multitask.runs.data_module import DataModule
from multitask.runs.page import write_page
from multitask.runs.run import run
from multitask.runs.soup import Trials
from multitask.settings import override, validate
from multitask.study.parameters import AnyEntry
from multitask.study.space import Space
from multitask.testing.example_run import TINY

MakeConfig = Callable[..., Config]
OTHERS = "data.source.sources.others"


@pytest.fixture
def several(drawn: Path) -> MakeConfig:
    """Makes a config of the drawn set and, as another source, its gender and age only."""

    def make(changes: dict[str, Any] | None = None) -> Config:
        sources = {
            "people": {"root": str(drawn), "source": {"name": "competition"}},
            "others": {"root": str(drawn), "source": {"name": "competition"}, "tasks": ["gender", "age"]},
        }
        base = {"data.root": "", "data.source": {"name": "several", "target": "people", "sources": sources}}
        plain = {"training.epochs": 1, "training.schedule.warmup_epochs": 0}
        return validate(Config, override(Config, dict(TINY), {**base, **plain, **(changes or {})}))

    return make


def answers(config: Config, folder: Path) -> bytes:
    """The predictions of a run of a config, in a folder of that name."""
    run(config, folder)
    return (folder / "predictions-val.csv").read_bytes()


def test_a_weight_of_0_is_a_label_that_is_missing(several: MakeConfig, tmp_path: Path) -> None:
    without = answers(several({f"{OTHERS}.tasks": ["age"]}), tmp_path / "without")
    weighted = answers(several({f"{OTHERS}.weights": {"gender": 0}}), tmp_path / "weighted")
    assert weighted == without
    assert weighted != answers(several(), tmp_path / "plain")


def test_weights_of_1_change_nothing(several: MakeConfig, tmp_path: Path) -> None:
    plain = answers(several(), tmp_path / "plain")
    assert answers(several({f"{OTHERS}.weights": {"gender": 1, "age": 1}}), tmp_path / "weighted") == plain


def test_batches_have_the_weights_of_each_loss(several: MakeConfig) -> None:
    data = DataModule(several({f"{OTHERS}.weights": {"gender": 0.25}}))
    batches = data.batches("train", Progress(), torch.device("cpu"), train=True)
    batch = next(batches.epoch(1))
    assert batch.weights.shape == batch.labels.shape
    assert batch.weights[:, 1].unique().tolist() == [0.25, 1.0]
    assert batch.weights[:, [0, 2]].unique().tolist() == [1.0]
    known = (batch.labels != -1).numpy()
    np.testing.assert_allclose(batches.labelled_weights(1)[0], (batch.weights.numpy() * known).sum(axis=0))


def test_consistency_is_of_groups_that_have_a_label_of_the_task(several: MakeConfig, tmp_path: Path) -> None:
    changes = {
        f"{OTHERS}.tasks": ["mask"],
        "training.consistency": {},
        "labels.tasks.gender.per_group": True,
        "data.sampler": {"name": "per_group", "num": 2, "of": "group", "together": True},
        "heads.age.weight": 0,
    }
    config = several(changes)
    data = DataModule(config)
    batches = data.batches("train", Progress(), torch.device("cpu"), train=True)
    batch = next(batches.epoch(1))
    assert batch.groups is not None
    assert batch.groups.shape == (len(batch), 1)
    assert ((batch.groups[:, 0] != MISSING) == (batch.labels[:, 1] != MISSING)).all()
    assert 0 < batches.share_paired(1) < 0.7
    trained = run(config, tmp_path / "run").history[0].train
    assert trained.consistency is not None
    assert set(trained.consistency) == {"gender"}


def test_a_loss_that_there_is_not_is_named(several: MakeConfig) -> None:
    with pytest.raises(UserError) as caught:
        several({f"{OTHERS}.weights": {"gendr": 0.5}})
    assert str(caught.value) == (
        "data.source.sources.others.weights.gendr: there is no such loss; did you mean 'gender'?"
    )


def test_a_source_may_be_augmented_by_a_strength_of_its_own(several: MakeConfig, tmp_path: Path) -> None:
    config = several({"augment.strength": 0.0, f"{OTHERS}.strength": 0.9})
    data = DataModule(config)
    rows = np.array([0, len(data.samples) // 2])
    assert data.samples.sources[rows].tolist() == ["people", "others"]
    images = [data.store.image(int(row), Progress()) for row in rows]
    changed = [data.augmentation()(images, seed, data.samples.sources[rows]) for seed in range(5)]
    assert all((found[0] == images[0]).all() for found in changed)
    assert any((found[1] != images[1]).any() for found in changed)
    run(config, tmp_path / "run")
    assert write_page(read_run(tmp_path / "run"), "val").is_file()


ENTRIES: dict[str, dict[str, Any]] = {
    f"{OTHERS}.weights.gender": {"low": 0.1, "high": 2.0},
    f"{OTHERS}.strength": {"low": 0.0, "high": 0.8},
    f"{OTHERS}.fit": {"kind": "categorical", "choices": ["crop", "pad"]},
    f"{OTHERS}.crop.left": {"low": 0.0, "high": 0.4},
    f"{OTHERS}.cover.share": {"low": 0.0, "high": 0.9},
    "data.sampler.weights.others": {"low": 0.1, "high": 4.0, "log": True},
}


class TestAStudy:
    BASE = {
        f"{OTHERS}.weights": {"gender": 1.0},
        f"{OTHERS}.strength": 0.4,
        f"{OTHERS}.fit": "crop",
        f"{OTHERS}.crop": {"name": "centre"},
        f"{OTHERS}.cover": {"share": 0.5},
        "data.sampler": {"name": "per_source", "weights": {"others": 1.0}},
    }

    def space(self, config: Config, entries: dict[str, Any]) -> Space:
        from pydantic import TypeAdapter

        found = {path: TypeAdapter(AnyEntry).validate_python(entry) for path, entry in entries.items()}
        return Space(found, config)

    def test_may_try_what_is_done_with_a_sources_images(self, several: MakeConfig) -> None:
        space = self.space(several(self.BASE), ENTRIES)
        params, outside = space.base_params()
        assert not outside
        assert set(params) == set(ENTRIES)
        tried = space.config({f"{OTHERS}.weights.gender": 0.3, "data.sampler.weights.others": 3.0})
        assert tried.data.loss_weights() == {"others": {"gender": 0.3}}
        assert tried.model_dump()["data"]["sampler"]["weights"] == {"others": 3.0}

    @pytest.mark.parametrize("key", ["tasks", "root", "source.name"])
    def test_may_not_try_which_images_there_are(self, several: MakeConfig, key: str) -> None:
        entry = {"kind": "categorical", "choices": ["a", "b"]}
        with pytest.raises(UserError, match="decides which images a trial is judged on"):
            self.space(several(self.BASE), {f"{OTHERS}.{key}": entry})


class TestStatisticsPerSource:
    PER_SOURCE = {"model.batch_norm": "per_source", "training.ema": {"decay": 0.9}}

    def test_are_trained_kept_and_resumed(self, several: MakeConfig, tmp_path: Path) -> None:
        config = several({**self.PER_SOURCE, "training.epochs": 2})
        whole = answers(config, tmp_path / "whole")
        assert whole != answers(several({"training.epochs": 2}), tmp_path / "shared")

        class Stop(Progress):
            def epoch(self, record: object) -> None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "stopped", progress=Stop())
        run(config, tmp_path / "stopped", resume=True)
        assert (tmp_path / "stopped" / "predictions-val.csv").read_bytes() == whole
        self.check_soups_estimate_those_of_the_target(tmp_path / "stopped")

    def check_soups_estimate_those_of_the_target(self, folder: Path) -> None:
        trials = Trials.of([read_run(folder)] * 2, "estimate", Progress())
        train = trials.data.split.train
        num = sum(len(images) for images in trials.training_images())
        assert num == (trials.data.samples.sources[train] == "people").sum() < len(train)

    @pytest.mark.parametrize(
        ("changes", "line"),
        [
            ({"data.source.target": None}, "model.batch_norm: per_source needs several sources and data.source.target"),
            ({"augment.mix.mixup_prob": 0.5}, "augment.mix: mixes images of several sources"),
            ({"data.source.query_source": "others"}, "data.source.query_source: must be the target"),
        ],
    )
    def test_what_they_cannot_go_with_is_refused(self, several: MakeConfig, changes: dict[str, Any], line: str) -> None:
        with pytest.raises(UserError) as caught:
            several({**self.PER_SOURCE, **changes})
        assert str(caught.value).startswith(line)

    def test_a_network_whose_batch_norms_are_all_frozen_is_refused(self, several: MakeConfig) -> None:
        for freeze, refused in ((3, False), (5, True)):
            config = several({**self.PER_SOURCE, "model.backbone.freeze": freeze, "model.backbone.weights": "hub"})
            with ExitStack() as stack:
                if refused:
                    line = (
                        r"^model\.batch_norm: per_source would be ignored: every batch norm of \S+ is in a frozen stage"
                    )
                    stack.enter_context(pytest.raises(UserError, match=line))
                build_network(config, torch.device("cpu"), pretrained=False)
