"""What cannot be is refused in one line before anything is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from multitask.config import Config
from multitask.errors import UserError
from multitask.losses import CLASS_WEIGHTS, ClassWeightSettings
from multitask.model import SHARINGS, SharingSettings
from multitask.settings import problems, validate
from multitask.settings.extensions import temporary_extensions
from tests.config.base import BASE, found, resolved


class TestImpossible:
    @pytest.mark.parametrize(
        ("changes", "line"),
        [
            # data
            ({"data.fold": 2}, "data.fold: is 2, but folds says no number of folds"),
            ({"data.folds": 3, "data.fold": 3}, "data.fold: must be below folds (3), found 3"),
            ({"data.folds": 3, "data.val_fraction": 0.1}, "data.val_fraction: 0.1 would be ignored beside folds: 3"),
            ({"data.folds": 1}, "data.folds: input should be greater than or equal to 2, found 1"),
            (
                {"data.val_fraction": 0, "data.split_seed": 3},
                "data.split_seed: 3 would be ignored, since val_fraction is 0",
            ),
            ({"data.train_groups": 0}, "data.train_groups: input should be greater than or equal to 1, found 0"),
            ({"data.held_out": [{"gendr": "male"}]}, "data.held_out: unknown task 'gendr'; did you mean 'gender'?"),
            ({"data.held_out": [{"gender": "mal"}]}, "data.held_out: gender has no class 'mal'; did you mean 'male'"),
            ({"data.held_out": [{}]}, "data.held_out: leaves nothing to train on"),
            (
                {"data.held_out": [{"gender": "male"}]},
                "data.held_out: leaves no image of gender 'male' to train on; every label must be seen in some other",
            ),
            (
                {
                    "labels.impossible": [{"age": ">=60", "gender": "male"}],
                    "data.held_out": [{"gender": "female", "age": ">=60"}],
                },
                "data.held_out: leaves no image of age '>=60' to train on",
            ),
            ({"data.split_seed": -1}, "data.split_seed: input should be greater than or equal to 0, found -1"),
            ({"data.val_fraction": 1}, "data.val_fraction: input should be less than 1, found 1"),
            ({"data.image_size": [7, 64]}, "data.image_size.0: input should be greater than or equal to 8, found 7"),
            ({"data.image_size": [64, 64, 64]}, "data.image_size: list should have at most 2 items"),
            ({"data.workers": "many"}, "data.workers: input should be a valid integer, or 'auto', found 'many'"),
            ({"data.cache": "disc"}, "data.cache: input should be 'auto', 'memory', 'disk' or 'none', found 'disc'"),
            ({"data.cache": "none", "data.cache_dir": "x"}, "data.cache_dir: would be ignored, since cache is none"),
            ({"data.crop": {"name": "face"}}, "data.crop.model: Field required"),
            ({"data.crop": {"name": "box", "model": "x"}}, "data.crop.model: unknown key (of 'box')"),
            ({"data.crop": {"name": "box", "fallback": "face"}}, "data.crop.fallback.name: unknown name 'face'"),
            ({"data.source.draw.people": 3}, "data.source.draw: unknown key (of 'competition')"),
            ({"data.crop": {"name": "centre", "left": 0.5, "right": 0.5}}, "data.crop: left must be less than right"),
            ({"data.crop": {"name": "centre", "top": 0.6, "bottom": 0.5}}, "data.crop: left must be less than right"),
            ({"data.crop": {"name": "centre", "left": "0"}}, "data.crop.left: input should be a valid number"),
            # augment
            ({"augment.strength": 1.5}, "augment.strength: input should be less than or equal to 1, found 1.5"),
            (
                {"augment.mix.mixup_prob": 0.7, "augment.mix.cutmix_prob": 0.7},
                "augment.mix: mixup_prob and cutmix_prob must be at most 1 together, found 0.7 and 0.7",
            ),
            # heads and losses
            ({"heads.msk.weight": 1}, "heads.msk: there is no such head; did you mean 'mask'?"),
            (
                {"model.sharing": "flat", "heads.mask.weight": 1},
                "heads.mask: there is no such head (model.sharing is flat); it can be 'class'",
            ),
            (
                {"heads": {name: {"weight": 0} for name in ("mask", "gender", "age")}},
                "heads: at least one weight must be above 0",
            ),
            (
                {"heads.age.loss.class_weights": {"name": "explicit", "values": [1, 2]}},
                "heads.age.loss.class_weights.values: must be 3, one for each of <30, 30-60, >=60; found 2",
            ),
            (
                {"heads.age.loss.class_weights": {"name": "explicit", "values": [0, 0, 0]}},
                "heads.age.loss.class_weights: values must not all be 0",
            ),
            ({"heads.age.loss.class_weights": "explicit"}, "heads.age.loss.class_weights.values: "),
            (
                {
                    "heads.age.loss": {
                        "name": "sum",
                        "second": {"class_weights": {"name": "explicit", "values": [1, 2]}},
                    }
                },
                "heads.age.loss.second.class_weights.values: must be 3, one for each of <30, 30-60, >=60; found 2",
            ),
            (
                {"joint": {"loss": {"class_weights": {"name": "explicit", "values": [1, 2]}}}},
                "joint.loss.class_weights.values: must be 18, one for each of wear/male/<30, wear/male/30-60, ",
            ),
            (
                {"heads.age.loss": {"name": "soft_macro_f1", "smoothing": 0.1}},
                "heads.age.loss.smoothing: unknown key (of",
            ),
            (
                {"heads.age.loss": {"name": "class_balanced_focal", "class_weights": "none"}},
                "heads.age.loss.class_weights: unknown key (of 'class_balanced_focal')",
            ),
            (
                {"heads.age.loss.deferred": 0.5},
                "heads.age.loss.deferred: 0.5 would be ignored, since class_weights is none",
            ),
            (
                {"heads.mask.loss": "cumulative"},
                "heads.mask.loss.name: cumulative needs classes in order; mask is nominal",
            ),
            (
                {"heads.mask.loss": "mean_variance"},
                "heads.mask.loss.name: mean_variance needs raw numbers, which only a binned task has; mask is nominal",
            ),
            (
                {
                    "labels.tasks.mask.kind": "ordinal",
                    "labels.tasks.mask.classes": ["a", "b"],
                    "heads.mask.loss": "soft_labels",
                },
                "heads.mask.loss.name: soft_labels needs raw numbers, which only a binned task has; mask is ordinal",
            ),
            (
                {"heads.gender.loss": {"name": "sum", "second": "soft_labels"}},
                "heads.gender.loss.second.name: soft_labels needs raw numbers, which only a binned task has; ",
            ),
            (
                {"model.sharing": "flat", "heads.class.loss": "soft_labels"},
                "heads.class.loss.name: soft_labels needs raw numbers, which only a binned task has; ",
            ),
            ({"joint.loss": "cumulative"}, "joint.loss.name: cumulative needs classes in order; joint is nominal"),
            (
                {"joint.loss": "soft_labels"},
                "joint.loss.name: soft_labels needs raw numbers, which only a binned task has; ",
            ),
            (
                {"joint.loss": "mean_variance"},
                "joint.loss.name: mean_variance needs raw numbers, which only a binned task has; ",
            ),
            (
                {"joint.loss": {"name": "sum", "first": "cumulative"}},
                "joint.loss.first.name: cumulative needs classes in order; joint is",
            ),
            ({"heads.age.loss.gamma": 2}, "heads.age.loss.gamma: unknown key (of 'cross_entropy')"),
            ({"heads.age.loss.name": "focall"}, "heads.age.loss.name: unknown name 'focall'; did you mean 'focal'?"),
            # model
            ({"model.backbone.name": "mobilenetv2_10"}, "model.backbone.name: timm has no model 'mobilenetv2_10'; did"),
            ({"model.backbone.options.num_classes": 3}, "model.backbone: options cannot set 'num_classes'"),
            ({"model.backbone.weights": "/no/file.pth"}, "model.backbone: weights must be none, hub or a file; there"),
            ({"model.backbone.freeze": "all"}, "model.backbone.freeze: all would keep random weights; load"),
            ({"model.backbone.freeze": "some"}, "model.backbone.freeze: input should be 'none' or 'all', or a valid"),
            (
                {"heads.age.net": "attention", "balancer": "gradnorm"},
                "balancer: gradnorm needs a last layer that all heads share, but heads.age.net is attention, which",
            ),
            ({"model.sharing": "separate", "balancer": "gradnorm"}, "balancer: gradnorm needs features that all heads"),
            ({"model.sharing": "branch"}, "model.sharing.at: Field required"),
            (
                {"model.sharing": {"name": "branch", "at": "layer1", "groups": [["mask"], ["sex", "age"]]}},
                "model.sharing.groups: there is no task 'sex'; it can be 'mask', 'gender', 'age'",
            ),
            (
                {"model.sharing.name": "seperate"},
                "model.sharing.name: unknown name 'seperate'; did you mean 'separate'?",
            ),
            (
                {"heads.gender.net": "corn"},
                "heads.gender.net: corn needs classes in order, but gender is nominal; use another net, or say kind: ",
            ),
            (
                {"model.sharing": "flat", "heads.class.net": "coral"},
                "heads.class.net: coral needs classes in order, but class is nominal; use another net, or say kind: ",
            ),
            ({"heads.age.net": {"name": "attention", "num_heads": 3}}, "heads.age.net: width must be a multiple of "),
            (
                {"heads.age.net": {"name": "cosine", "scale": 100}},
                "heads.age.net.scale: must be below 100 to be learned",
            ),
            # training
            ({"training.epochs": 3.5}, "training.epochs: input should be a valid integer, found 3.5"),
            ({"training.lr": "fast"}, "training.lr: input should be a valid number, found 'fast'"),
            ({"training.lr": True}, "training.lr: input should be a valid number, found true"),
            (
                {"training.schedule.warmup_epochs": 20},
                "training.schedule.warmup_epochs must be less than epochs, found 20 of 20",
            ),
            ({"training.optimizer.name": "adamww"}, "training.optimizer.name: timm has no optimiser 'adamww'; did you"),
            ({"training.optimizer.options.lr": 1}, "training.optimizer.options: cannot set 'lr'; set training.lr"),
            ({"training.optimiser.name": "x"}, "training.optimiser: unknown key; did you mean 'optimizer'?"),
            (
                {"training.monitor": "joint.macrof1"},
                "training.monitor: unknown score 'joint.macrof1'; did you mean 'joint.macro_f1'",
            ),
            ({"training.monitor": "tasks.race.accuracy"}, "training.monitor: unknown score 'tasks.race.accuracy'; did"),
            (
                {"training.patience": 3, "data.val_fraction": 0},
                "training.patience: needs groups that validate, but data.val_fraction is 0",
            ),
            (
                {"training.keep.name": "lower_bound", "data.val_fraction": 0},
                "training.keep.name: lower_bound needs groups that validate, but data.val_fraction is 0; last and mean",
            ),
            (
                {"training.keep": {"name": "last", "epochs": 2}},
                "training.keep.epochs: 2 would be ignored, since name is last",
            ),
            (
                {"training.keep": {"name": "mean", "epochs": 21}},
                "training.keep.epochs must be at most epochs (20), found 21",
            ),
            (
                {"training.keep.name": "last", "training.monitor": "joint.loss"},
                "training.monitor: joint.loss would be ignored, since keep.name is last and patience is not set",
            ),
            (
                {"data.contradictions": "drop"},
                "data.contradictions: drop would be ignored: no task is declared per_group",
            ),
            (
                {"training.consistency": {}, "training.accumulate": 2},
                "training.accumulate: must be 1 beside consistency, which looks at each batch alone, found 2",
            ),
            (
                {"training.consistency": {}, "model.sharing": "flat"},
                "training.consistency: needs a head for each task, but model.sharing is flat",
            ),
            (
                {"training.consistency": {}, "balancer": "pcgrad"},
                "training.consistency: is a part of each head's loss that only balancer: fixed adds up, found pcgrad",
            ),
            (
                {"training.consistency": {}, "augment.mix.cutmix_prob": 0.5},
                "training.consistency: a mixed image belongs to two groups; set augment.mix",
            ),
            (
                {"data.pick_fraction": 0.2},
                "data.pick_fraction: 0.2 of the groups would pick, but the last epoch is kept; say "
                "training.keep.name: best",
            ),
            (
                {"data.pick_fraction": 0.2, "data.val_fraction": 0},
                "data.pick_fraction: 0.2 would keep groups from training though none validates",
            ),
            (
                {"decode.name": "class_bias", "data.val_fraction": 0},
                "decode.name: 'class_bias' needs groups that validate, but data.val_fraction is 0",
            ),
            # the rest
            ({"decode.strength": 1.0}, "decode.strength: unknown key (of 'independent')"),
            ({"decode.name": "independant"}, "decode.name: unknown name 'independant'; did you mean 'independent'?"),
            ({"balancer.name": "fixd"}, "balancer.name: unknown name 'fixd'; did you mean 'fixed'?"),
            ({"sed": 1}, "sed: unknown key; did you mean 'seed'?"),
            ({"seed": -1}, "seed: input should be greater than or equal to 0, found -1"),
            ({"data.root": None}, "data.root: input should be text, found null"),
        ],
    )
    def test_is_one_line_that_names_key_rule_and_find(self, changes: dict[str, Any], line: str) -> None:
        lines = found(changes)
        assert len(lines) == 1
        assert lines[0].startswith(line)
        assert "\n" not in lines[0]

    @pytest.mark.parametrize("section", ["labels", "data"])
    def test_a_required_section_is_missed(self, section: str) -> None:
        lines = problems(Config, {key: value for key, value in BASE.items() if key != section})
        assert [line.partition(":")[0] for line in lines] == [section]

    def test_fold_k_of_n_stands_beside_the_default_fraction(self) -> None:
        assert resolved({"data.folds": 3, "data.fold": 2, "data.val_fraction": 0.2}).data.fold == 2

    def test_patience_needs_no_fraction_where_folds_validate(self) -> None:
        assert resolved({"training.patience": 3, "data.folds": 3}).training.patience == 3


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"fit": "squash"}, "data.fit: "),
        ({"background": [0, 0, 256]}, "data.background.2: "),
        ({"background": [0, 0]}, "data.background.2: "),
        ({"value_range": [1.0, 1.0]}, "data.value_range: the first, which becomes black, must be below the second"),
        ({"value_range": [0.0, float("inf")]}, "data.value_range.1: "),
    ],
)
def test_how_images_are_read_is_checked(setting: dict[str, Any], message: str) -> None:
    config = {
        "labels": {"tasks": {"colour": {"classes": ["red", "blue"]}}},
        "data": {"root": ".", "source": {"name": "folders", "pattern": "{colour}"}, **setting},
    }
    with pytest.raises(UserError) as caught:
        validate(Config, config, Path())
    assert str(caught.value).startswith(message)


class HalvesSettings(SharingSettings):
    """Two networks, as ``separate`` has one for each task."""

    name: Literal["halves"] = "halves"

    @property
    def apart(self) -> bool:
        return True


class OfTwoSettings(ClassWeightSettings):
    name: Literal["of_two"] = "of_two"

    def raw(self, counts: Any) -> Any:
        return np.array([1.0, 2.0])

    def problems(self, classes: Sequence[str]) -> Iterator[str]:
        if len(classes) != 2:
            yield f"name: of_two is for two classes, found {len(classes)}"


def test_rows_of_ones_own_are_asked_what_our_own_are() -> None:
    with temporary_extensions():
        SHARINGS["halves"], CLASS_WEIGHTS["of_two"] = HalvesSettings, OfTwoSettings
        assert found({"model.sharing": "halves", "balancer": "gradnorm"}) == [
            "balancer: gradnorm needs features that all heads share and train, but model.sharing is halves"
        ]
        assert found({"heads.gender.loss.class_weights": "of_two"}) == []
        assert found({"heads.age.loss.class_weights": "of_two"}) == [
            "heads.age.loss.class_weights.name: of_two is for two classes, found 3"
        ]


def test_a_tracker_is_named_once() -> None:
    assert found({"tracking": ["csv", {"name": "mlflow"}]}) == []
    [line] = found({"tracking": ["csv", {"name": "csv"}]})
    assert line.endswith("tracking: names each tracker once, found csv, csv")
