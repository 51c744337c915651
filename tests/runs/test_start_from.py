"""A run that starts from another: with its weights, and never with a network that has seen who is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from multitask.config import Config
from multitask.data.synthetic import draw_set
from multitask.errors import UserError
from multitask.progress import Progress
from multitask.runs.build import build_network
from multitask.runs.cross_validation import run_folds
from multitask.runs.data_module import DataModule
from multitask.runs.run import run
from multitask.runs.start_from import start_from_run
from multitask.training.checkpoint import load_checkpoint
from tests.runs.same_run import MakeConfig, StoppedError, assert_same_run, stop_after

import timm  # isort: skip  (after multitask, which makes it importable)


@pytest.fixture
def frozen(tiny: MakeConfig, tmp_path: Path) -> MakeConfig:
    """Makes the config of a run on a frozen backbone."""
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", num_classes=0).state_dict(), tmp_path / "weights.pth")

    def make(changes: dict[str, Any] | None = None) -> Config:
        base = {"model.backbone.weights": str(tmp_path / "weights.pth"), "model.backbone.freeze": "all"}
        return tiny({**base, "augment.strength": 0, "training.epochs": 1, **(changes or {})})

    return make


def test_heads_trained_on_a_frozen_backbone_go_on_with_its_last_stages(frozen: MakeConfig, tmp_path: Path) -> None:
    run(frozen(), tmp_path / "heads", reuse=tmp_path / "reuse")
    opened = {"model.backbone.freeze": 3, "model.start_from": str(tmp_path / "heads"), "training.epochs": 2}
    config = frozen(opened)
    network = build_network(config, torch.device("cpu"))
    start_from_run(network, config, DataModule(config))
    before = load_checkpoint(tmp_path / "heads" / "checkpoints" / "best.safetensors")["network"]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

    run(config, tmp_path / "opened")
    after = load_checkpoint(tmp_path / "opened" / "checkpoints" / "best.safetensors")["network"]
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert any(name.startswith("backbone.") for name in changed)
    assert not any(name.startswith(("backbone.body.conv1", "backbone.body.layer1")) for name in changed)

    with pytest.raises(StoppedError):
        run(config, tmp_path / "parts", on_epoch=stop_after(1))
    run(config, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "opened", tmp_path / "parts")


def test_each_fold_starts_from_its_own(frozen: MakeConfig, tmp_path: Path) -> None:
    folds = {"data.val_fraction": 0.2}
    run_folds(frozen(folds), 2, tmp_path / "heads")
    start = {"model.start_from": str(tmp_path / "heads"), "model.backbone.freeze": 4}
    run_folds(frozen({**folds, **start}), 2, tmp_path / "opened", progress=Progress())
    with pytest.raises(
        UserError, match=r"^model\.start_from: .* is a run in 2 folds, so a run that starts from it must"
    ):
        run(frozen(start), tmp_path / "one")
    other = {**folds, "data.folds": 2, "data.fold": 0, "model.start_from": str(tmp_path / "heads" / "folds" / "1")}
    with pytest.raises(UserError, match=r"^model\.start_from: .* trained on \d+ of the \d+ groups that are not to"):
        run(frozen({**other, "model.backbone.freeze": 4}), tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_other_runs_are_refused_in_one_line(frozen: MakeConfig, tmp_path: Path) -> None:
    run(frozen(), tmp_path / "heads")
    start = {"model.start_from": str(tmp_path / "heads")}
    for changes, line in (
        ({"model.start_from": str(tmp_path / "none")}, "none"),
        ({**start, "model.sharing.name": "flat"}, "learned other labels"),
        ({**start, "heads.age.net": "mlp"}, "does not fit the run's network"),
    ):
        with pytest.raises(UserError, match=line):
            run(frozen(changes), tmp_path / "run")
        assert not (tmp_path / "run").exists()


class TestNamesOfSeveralSources:
    @pytest.fixture
    def several(self, frozen: MakeConfig, drawn: Path) -> MakeConfig:
        """Makes the config of a run on the drawn set and on its gender alone as another source."""
        competition = {"root": str(drawn), "source": {"name": "competition"}}
        sources = {"people": competition, "others": {**competition, "tasks": ["gender"]}}
        several = {"name": "several", "target": "people", "sources": sources}
        return lambda changes=None: frozen({"data.root": "", "data.source": several, **(changes or {})})

    def test_a_group_is_the_same_with_its_sources_name(
        self, frozen: MakeConfig, several: MakeConfig, tmp_path: Path
    ) -> None:
        run(frozen(), tmp_path / "one")
        run(several(), tmp_path / "many")
        for make, start in ((several, "one"), (frozen, "many")):
            changes = {"model.start_from": str(tmp_path / start), "model.backbone.freeze": 4}
            run(make(changes), tmp_path / f"from-{start}")
            with pytest.raises(UserError, match=r"^model\.start_from: .* trained on \d+ of the \d+ groups"):
                run(make({**changes, "data.split_seed": 9}), tmp_path / "other")


def test_groups_that_the_run_does_not_know_are_refused(frozen: MakeConfig, tmp_path: Path) -> None:
    draw_set(tmp_path / "set", people=12, seed=5)
    run(frozen({"data.root": str(tmp_path / "set")}), tmp_path / "first")
    changes = {"model.start_from": str(tmp_path / "first"), "model.backbone.freeze": 4}
    with pytest.raises(UserError, match=r"^model\.start_from: the run in .* does not know \d+ of the \d+ groups"):
        run(frozen(changes), tmp_path / "run")


def test_what_a_run_started_from_counts_as_seen(frozen: MakeConfig, tmp_path: Path) -> None:
    run(frozen({"data.split_seed": 9}), tmp_path / "first")
    text = (tmp_path / "first" / "split.csv").read_text()
    # A second run that trains on others: on nobody who is judged in the third.
    second = {"model.start_from": str(tmp_path / "first"), "model.backbone.freeze": 4, "data.val_fraction": 0}
    run(frozen(second), tmp_path / "second")
    (tmp_path / "second" / "split.csv").write_text(text.replace(",train", ",unused"))
    third = {"model.start_from": str(tmp_path / "second"), "model.backbone.freeze": 4}
    with pytest.raises(UserError, match=r"^model\.start_from: the run in \S*first trained on"):
        run(frozen(third), tmp_path / "third")
