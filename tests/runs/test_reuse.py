"""Pixels and features that a run keeps for others: what may reuse them, and that they change nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from multitask.config import Config, load_config
from multitask.data.images import Preprocessing
from multitask.model.encoder import Encoded
from multitask.model.feature_rows import FeatureRows
from multitask.progress import Progress
from multitask.runs.config import TrainedRun
from multitask.runs.data_module import DataModule
from multitask.runs.evaluate import evaluate
from multitask.runs.folder import RunFolder
from multitask.runs.run import RunResult, run
from multitask.training.checkpoint import load_checkpoint
from tests.conftest import SHARED, needs_shared
from tests.runs.same_run import MakeConfig, StoppedError, assert_same_run, history, report, stop_after

import timm  # isort: skip  (after multitask, which makes it importable)


def kept(folder: Path) -> dict[str, int]:
    """How many files of each kind are in a folder for reuse."""
    names = [path.name.split("-")[0] for path in folder.glob("*.npy")]
    return {name: names.count(name) for name in sorted(set(names))}


@pytest.fixture
def count_work(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[int, int]]:
    """Gives the numbers of images read and of images whose features were computed since it was last asked."""
    done = [0, 0]
    load, pack = Preprocessing.load, FeatureRows.pack

    def counted_load(self: Preprocessing, path: Path, *box: Any) -> Any:
        done[0] += 1
        return load(self, path, *box)

    def counted_pack(self: FeatureRows, encoded: Encoded) -> torch.Tensor:
        done[1] += len(encoded.pooled)
        return pack(self, encoded)

    monkeypatch.setattr(Preprocessing, "load", counted_load)
    monkeypatch.setattr(FeatureRows, "pack", counted_pack)

    def since() -> tuple[int, int]:
        found = done[0], done[1]
        done[:] = 0, 0
        return found

    return since


def test_run_from_shared_pixels_is_that_from_files(
    plain: tuple[Path, RunResult], tiny: MakeConfig, tmp_path: Path, count_work: Callable[[], tuple[int, int]]
) -> None:
    num = len(DataModule(tiny()).samples)
    for name, expected in {"first": num, "second": 0}.items():
        run(tiny(), tmp_path / name, reuse=tmp_path / "reuse")
        assert_same_run(plain[0], tmp_path / name)
        assert count_work()[0] == expected
    assert kept(tmp_path / "reuse") == {"pixels": 1}


def test_without_a_cache_no_pixels_are_kept(plain: tuple[Path, RunResult], tiny: MakeConfig, tmp_path: Path) -> None:
    result = run(tiny({"data.cache": "none"}), reuse=tmp_path / "reuse")
    assert result.report is not None
    assert plain[1].report is not None
    assert result.report.joint == plain[1].report.joint
    assert kept(tmp_path / "reuse") == {}


FROZEN: dict[str, dict[str, Any]] = {
    "plain": {},
    "average, accumulation, heads of their own": {
        "training.ema": {"decay": 0.9},
        "training.accumulate": 2,
        "heads.age.loss": {"name": "focal", "class_weights": "effective_number", "smoothing": 0.1},
        "heads.gender.net": {"name": "mlp", "hidden": 16, "dropout": 0.3},
    },
    "a head that reads the map": {"heads.mask.net": {"name": "attention", "width": 16}},
    "the same in bf16": {"heads.mask.net": {"name": "attention", "width": 16}, "training.precision": "bf16"},
    "flat, bf16, patience": {"model.sharing.name": "flat", "training.precision": "bf16", "training.patience": 1},
    "no cache, workers": {"data.cache": "none", "data.workers": 2, "training.epochs": 1},
}


@pytest.fixture
def frozen(tiny: MakeConfig, weights: str) -> MakeConfig:
    """Makes the config of a run whose images' features cannot change."""

    def make(changes: dict[str, Any] | None = None) -> Config:
        base = {"model.backbone.weights": weights, "model.backbone.freeze": "all", "augment.strength": 0}
        return tiny({**base, **(changes or {})})

    return make


@pytest.mark.parametrize("variant", FROZEN)
def test_run_from_features_computed_before_is_that_from_images(
    variant: str, frozen: MakeConfig, tmp_path: Path, count_work: Callable[[], tuple[int, int]]
) -> None:
    config = frozen(FROZEN[variant])
    num = len(DataModule(config).samples)
    run(config, tmp_path / "plain")
    count_work()
    for name, expected in {"first": (num, num), "second": (0, 0)}.items():
        run(config, tmp_path / name, reuse=tmp_path / "reuse")
        assert_same_run(tmp_path / "plain", tmp_path / name)
        assert count_work() == expected
    assert kept(tmp_path / "reuse")["features"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"augment.strength": 0.1},
        {"augment.mix.mixup_prob": 0.5},
        {"augment.mix.cutmix_prob": 0.5},
        {"model.backbone.freeze": 4},
        {"model.backbone.freeze": "none"},
    ],
    ids=str,
)
def test_features_that_may_change_are_not_reused(changes: dict[str, Any], frozen: MakeConfig, tmp_path: Path) -> None:
    config = frozen({"training.epochs": 1, **changes})
    run(config, tmp_path / "plain")
    run(config, tmp_path / "run", reuse=tmp_path / "reuse")
    assert_same_run(tmp_path / "plain", tmp_path / "run")
    assert kept(tmp_path / "reuse") == {"pixels": 1}


def test_features_are_shared_by_all_that_leaves_them_as_they_are(frozen: MakeConfig, tmp_path: Path) -> None:
    for changes in (
        {},
        {"seed": 3},
        {"heads.age.weight": 2.0, "training.lr": 0.01, "balancer": "fixed"},
        {"data.val_fraction": 0.2, "data.folds": 3, "data.fold": 1},
        {"model.backbone.freeze": 5},  # which are all
    ):
        run(frozen({"training.epochs": 1, **changes}), reuse=tmp_path / "reuse")
        assert kept(tmp_path / "reuse") == {"features": 1, "pixels": 1}, changes


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data.image_size": [24, 32]}, {"features": 2, "pixels": 2}),
        ({"data.crop": {"name": "centre", "top": 0.1}}, {"features": 2, "pixels": 2}),
        ({"model.backbone.std": [0.1, 0.2, 0.3]}, {"features": 2, "pixels": 1}),
        ({"training.precision": "bf16"}, {"features": 2, "pixels": 1}),
        ({"training.batch_size": 8}, {"features": 2, "pixels": 1}),
    ],
    ids=str,
)
def test_other_settings_have_features_of_their_own(
    changes: dict[str, Any], expected: dict[str, int], frozen: MakeConfig, tmp_path: Path
) -> None:
    run(frozen({"training.epochs": 1}), reuse=tmp_path / "reuse")
    config = frozen({"training.epochs": 1, **changes})
    run(config, tmp_path / "plain")
    run(config, tmp_path / "run", reuse=tmp_path / "reuse")
    assert_same_run(tmp_path / "plain", tmp_path / "run")
    assert kept(tmp_path / "reuse") == expected


def test_other_images_and_other_weights_of_the_same_names_have_features_of_their_own(
    frozen: MakeConfig, weights: str, drawn: Path, tmp_path: Path
) -> None:
    shutil.copytree(drawn, tmp_path / "data")
    shutil.copy(weights, tmp_path / "weights.pth")
    root, file = str(tmp_path / "data"), str(tmp_path / "weights.pth")
    config = frozen({"training.epochs": 1, "data.root": root, "model.backbone.weights": file})

    def check(expected: dict[str, int]) -> None:
        name = str(expected)
        run(config, tmp_path / name / "plain")
        run(config, tmp_path / name / "run", reuse=tmp_path / "reuse")
        assert_same_run(tmp_path / name / "plain", tmp_path / name / "run")
        assert kept(tmp_path / "reuse") == expected

    check({"features": 1, "pixels": 1})
    paths = DataModule(config).samples.paths()
    shutil.copy(paths[0], paths[5])
    check({"features": 2, "pixels": 2})
    torch.manual_seed(5)
    torch.save(timm.create_model("test_resnet").state_dict(), file)
    check({"features": 3, "pixels": 2})


def test_damaged_files_for_reuse_are_made_again(frozen: MakeConfig, tmp_path: Path) -> None:
    reuse = tmp_path / "reuse"
    run(frozen(), tmp_path / "first", reuse=reuse)
    before = {path: path.read_bytes() for path in reuse.glob("*.npy")}
    for path, content in before.items():
        path.write_bytes(content[: len(content) // 2])
    run(frozen(), tmp_path / "second", reuse=reuse)
    assert_same_run(tmp_path / "first", tmp_path / "second")
    assert {path: path.read_bytes() for path in reuse.glob("*.npy")} == before


@pytest.mark.parametrize("first", ["with", "without"])
def test_a_run_may_be_resumed_with_features_or_without(first: str, frozen: MakeConfig, tmp_path: Path) -> None:
    config = frozen({"training.epochs": 3, "training.ema": {"decay": 0.9}})
    reuse = {"with": tmp_path / "reuse", "without": None}
    second = "without" if first == "with" else "with"
    run(config, tmp_path / "whole")
    with pytest.raises(StoppedError):
        run(config, tmp_path / "parts", on_epoch=stop_after(1), reuse=reuse[first])
    run(config, tmp_path / "parts", resume=True, reuse=reuse[second])
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_run_that_had_features_answers_images_at_any_moment(frozen: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run(frozen(), tmp_path / "run", on_epoch=stop_after(1), reuse=tmp_path / "reuse")
    folder = RunFolder(tmp_path / "run")
    scores = evaluate(TrainedRun(folder, frozen()), "val", Progress())
    assert scores.joint.macro_f1 == folder.read_history()[0].val.joint_macro_f1


def test_the_last_checkpoint_leaves_out_what_is_frozen_and_the_best_is_whole(
    frozen: MakeConfig, tmp_path: Path
) -> None:
    for name, reuse in {"with": tmp_path / "reuse", "without": None}.items():
        folder = run(frozen(), tmp_path / name, reuse=reuse).folder
        best, last = (set(load_checkpoint(path)["network"]) for path in (folder.best, folder.last))
        assert last == {name for name in best if name.startswith("heads.")}
        assert len(best - last) == len(timm.create_model("test_resnet", num_classes=0).state_dict())


@needs_shared
def test_on_real_images_a_pretrained_network_scores_the_same(tmp_path: Path) -> None:
    config = load_config(
        Path(__file__).parents[2] / "configs" / "mask18_mini.yaml",
        [
            f"data.root={SHARED / 'data' / 'mask18-mini'}",
            f"model.backbone.weights={SHARED / 'weights' / 'mobilenetv2_100.safetensors'}",
            "model.backbone.freeze=all",
            "augment.strength=0",
            "data.image_size=[48, 36]",
            "training.epochs=1",
        ],
    )
    run(config, tmp_path / "plain")
    run(config, tmp_path / "run", reuse=tmp_path / "reuse")
    assert kept(tmp_path / "reuse")["features"] == 1
    one, other = (report(tmp_path / name) for name in ("plain", "run"))
    assert one["joint"] == other["joint"]
    assert one["tasks"] == other["tasks"]
    assert history(tmp_path / "plain") == history(tmp_path / "run")
