"""The config: what cannot be is refused in one line before anything is read, and what is resolved runs again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.config import Config, load_config, read_config, scored_metrics
from multitask.errors import UserError
from multitask.losses import CLASS_WEIGHTS, ClassWeightSettings
from multitask.model import SHARINGS, SharingSettings
from multitask.settings import flatten, override, problems, validate
from multitask.settings.extensions import temporary_extensions
from multitask.settings.yaml_text import dump_yaml, parse_yaml, read_yaml

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))

BASE: dict[str, Any] = {
    "labels": {
        "tasks": {
            "mask": {"classes": ["wear", "incorrect", "not_worn"]},
            "gender": {"classes": ["male", "female"]},
            "age": {"kind": "binned", "edges": [30, 60]},
        }
    },
    "data": {"root": "/data"},
    "model": {"backbone": {"name": "test_resnet", "weights": "none"}},
}


def found(changes: dict[str, Any]) -> list[str]:
    return problems(Config, override(Config, BASE, changes))


def resolved(changes: dict[str, Any]) -> Config:
    return validate(Config, override(Config, BASE, changes))


def write(folder: Path, data: dict[str, Any] | str, name: str = "config.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(data if isinstance(data, str) else dump_yaml(data))
    return path


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
            ({"training.lr": True}, "training.lr: input should be a valid number, found True"),
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
            ({"data.root": None}, "data.root: input should be a valid string, found None"),
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


class TestResolved:
    def test_every_head_stands_in_it(self) -> None:
        assert list(resolved({"heads.age.weight": 2}).heads) == ["mask", "gender", "age"]
        assert list(resolved({"model.sharing": "flat"}).heads) == ["class"]

    def test_the_competitions_space(self) -> None:
        space = resolved({}).space()
        assert space.sizes == (3, 2, 3)
        assert space.class_names[6 + 3 + 2] == "incorrect/female/>=60"
        assert resolved({"model.sharing": "flat"}).learned_space().sizes == (18,)

    def test_one_number_is_a_square(self) -> None:
        assert resolved({"data.image_size": 64}).data.image_size == (64, 64)
        assert resolved({"data.image_size": [64, 48]}).data.image_size == (64, 48)

    def test_unseen_are_the_cells_that_are_held_out_and_can_occur(self) -> None:
        assert not resolved({}).unseen().any()
        config = resolved(
            {
                "labels.impossible": [{"mask": "incorrect", "gender": "female", "age": ">=60"}],
                "data.held_out": [
                    {"gender": "female", "age": ">=60"},
                    {"mask": "wear", "gender": "male", "age": "<30"},
                ],
            }
        )
        names = config.space().class_names
        assert [names[index] for index in np.flatnonzero(config.unseen())] == [
            "wear/male/<30",
            "wear/female/>=60",
            "not_worn/female/>=60",
        ]

    def test_a_split_seed_is_used_where_only_some_groups_train(self) -> None:
        assert resolved({"data.val_fraction": 0, "data.train_groups": 5, "data.split_seed": 3}).data.split_seed == 3

    def test_scores_that_may_be_monitored_are_those_of_the_space(self) -> None:
        for metric in scored_metrics(resolved({}).space()):
            assert found({"training.monitor": metric}) == []

    PIECES: dict[str, st.SearchStrategy[Any]] = {
        "seed": st.integers(0, 2**31),
        "device": st.sampled_from(["auto", "cpu", "cuda"]),
        "data.root": st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=6),
        "data.val_fraction": st.floats(0, 1, exclude_max=True, allow_subnormal=False),
        "data.image_size": st.integers(8, 500) | st.tuples(st.integers(8, 500), st.integers(8, 500)),
        "data.crop": st.just("none") | st.builds(lambda top: {"name": "centre", "top": top}, st.floats(0, 0.9)),
        "data.workers": st.just("auto") | st.integers(0, 9),
        "data.source": st.sampled_from(
            ["competition", {"name": "synthetic"}, {"name": "synthetic", "draw": {"people": 9}}]
        ),
        "data.train_groups": st.none() | st.integers(1, 10**6),
        "labels.impossible": st.sampled_from([[], [{"mask": "wear", "gender": "male"}]]),
        "labels.tasks.age": st.lists(st.floats(-1e9, 1e9, width=32), min_size=2, max_size=4, unique=True).map(
            lambda edges: {"kind": "binned", "edges": sorted(edges)}
        ),
        "augment.strength": st.floats(0, 1),
        "augment.colour": st.floats(0, 1e6),
        "augment.mix.mixup_prob": st.floats(0, 1),
        "heads.mask.weight": st.floats(0, 1e12),
        "heads.age.net": st.sampled_from(["linear", {"name": "mlp", "hidden": 7, "dropout": 0.1}]),
        "heads.age.loss": st.sampled_from(["focal", {"name": "focal", "gamma": 1, "class_weights": "effective_number"}])
        | st.builds(lambda smoothing: {"smoothing": smoothing}, st.floats(0, 0.9)),
        "training.lr": st.floats(1e-12, 1e3),
        "training.epochs": st.integers(2, 99),
        "training.ema": st.sampled_from([None, {}, {"decay": 0.5}]),
        "training.clip_norm": st.none() | st.floats(0.001, 9),
        "training.schedule.warmup_epochs": st.integers(0, 1),
        "training.schedule.name": st.sampled_from(["cosine", "linear", "step"]),
        "training.optimizer.options": st.just({}) | st.just({"betas": [0.9, 0.95]}),
        "training.monitor": st.sampled_from(["joint.macro_f1", "tasks.mask.loss"]),
    }
    CHANGES = st.fixed_dictionaries({}, optional=PIECES)

    @given(CHANGES)
    @settings(deadline=None, max_examples=60)
    def test_its_yaml_reads_back_as_the_same_config(self, changes: dict[str, Any]) -> None:
        config = resolved(changes)
        text = config.to_yaml()
        again = validate(Config, parse_yaml(text, "config.yaml"), Path("/elsewhere"))
        assert again == config
        assert again.to_yaml() == text

    def test_flattened_it_has_the_keys_that_scripts_rely_on(self) -> None:
        flat = flatten(parse_yaml(resolved({}).to_yaml(), "config.yaml"))
        for key in (
            "seed",
            "data.root",
            "data.val_fraction",
            "data.image_size",
            "augment.strength",
            "model.backbone.name",
            "model.backbone.weights",
            "heads.age.weight",
            "heads.age.loss.name",
            "training.epochs",
            "training.batch_size",
            "training.lr",
            "decode.name",
        ):
            assert key in flat
            # and --set takes them as they are
            assert resolved({key: flat[key]}) == resolved({})


class TestLoadConfig:
    def test_a_file_with_overrides(self, tmp_path: Path) -> None:
        path = write(tmp_path, BASE)
        config = load_config(
            path, ["training.lr=1e-3", "heads.age.loss.gamma=1.5", "heads.age.loss.name=focal", "training.ema={}"]
        )
        assert config.training.lr == 0.001
        assert config.heads["age"].loss.model_dump()["gamma"] == 1.5
        assert config.training.ema is not None
        assert load_config(path).seed == 0

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("labels: [", r"config\.yaml, line 1, column 10: not YAML: "),
            ("a: 1\na: 2", r"config\.yaml, line 2, column 1: not YAML: key 'a' stands twice"),
            ("just words", r"config\.yaml: must hold keys and values, found str"),
        ],
    )
    def test_a_file_that_is_no_config_is_named(self, tmp_path: Path, text: str, line: str) -> None:
        with pytest.raises(UserError, match=line):
            load_config(write(tmp_path, text))

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"none\.yaml: no such file$"):
            load_config(tmp_path / "none.yaml")

    @pytest.mark.parametrize(
        ("change", "line"),
        [
            ("training.lr=fast", r"^training\.lr: input should be a valid number, found 'fast'$"),
            ("training.lrr=1", r"^training\.lrr: unknown key; did you mean 'lr'\?$"),
            ("training.lr", r"^--set training\.lr: must be key=value"),
            ("seed.x=1", r"^seed: input should be a valid integer, found "),
        ],
    )
    def test_a_wrong_override_is_one_line(self, tmp_path: Path, change: str, line: str) -> None:
        with pytest.raises(UserError, match=line):
            load_config(write(tmp_path, BASE), [change])


class TestPaths:
    @pytest.fixture
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A working directory that is not the config's folder."""
        folder = tmp_path / "here"
        folder.mkdir()
        monkeypatch.chdir(folder)
        return folder

    def config(self, tmp_path: Path, root: str) -> Path:
        return write(tmp_path / "configs", {**BASE, "data": {"root": root}})

    def test_in_the_file_they_are_relative_to_its_folder(self, tmp_path: Path, here: Path) -> None:
        assert load_config(self.config(tmp_path, "../set")).data.root == str(tmp_path / "set")
        self.config(tmp_path, "set")
        assert load_config(Path("../configs/config.yaml")).data.root == str(tmp_path / "configs" / "set")

    def test_of_set_they_are_relative_to_where_one_is(self, tmp_path: Path, here: Path) -> None:
        path = self.config(tmp_path, "set")
        assert load_config(path, ["data.root=set"]).data.root == str(here / "set")
        assert load_config(path, ["data={root: ../set}"]).data.root == str(tmp_path / "set")
        (here / "w.pth").touch()
        assert load_config(path, ["model.backbone.weights=w.pth"]).model.backbone.weights == str(here / "w.pth")

    def test_variables_and_their_defaults(self, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MT_ROOT", raising=False)
        path = self.config(tmp_path, "${MT_ROOT:-../set}/x")
        assert load_config(path).data.root == str(tmp_path / "set" / "x")
        monkeypatch.setenv("MT_ROOT", "")  # empty is not set
        assert load_config(path).data.root == str(tmp_path / "set" / "x")
        monkeypatch.setenv("MT_ROOT", "/abs")
        assert load_config(path).data.root == "/abs/x"
        monkeypatch.setenv("MT_ROOT", "rel")  # as if typed where the command runs
        assert load_config(path).data.root == str(here / "rel" / "x")

    def test_a_default_in_set_is_still_of_set(
        self, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("MT_ROOT", raising=False)
        path = self.config(tmp_path, "set")
        assert load_config(path, ["data.root=${MT_ROOT:-set}"]).data.root == str(here / "set")

    def test_a_variable_that_is_not_set_is_named_with_its_key(
        self, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("MT_ROOT", raising=False)
        path = self.config(tmp_path, "${MT_ROOT}")
        line = r"^data\.root: the environment variable MT_ROOT is not set; set it, or --set data\.root=\.\.\.$"
        with pytest.raises(UserError, match=line):
            load_config(path)
        assert load_config(path, ["data.root=/abs"]).data.root == "/abs"

    def test_the_resolved_config_means_the_same_anywhere(self, tmp_path: Path, here: Path) -> None:
        config = load_config(self.config(tmp_path, "../set"))
        elsewhere = write(tmp_path / "a" / "b", config.to_yaml())
        assert load_config(elsewhere) == config


class TestShippedConfigs:
    def test_there_are_some(self) -> None:
        assert CONFIGS

    @pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
    def test_every_file_in_configs_loads(self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in re.findall(r"\$\{(\w+)", path.read_text()):
            monkeypatch.delenv(name, raising=False)
        try:
            config = load_config(path)
        except UserError as error:
            absent = re.search(r"there is no file (\S+)$", str(error))
            needed = re.search(r"the environment variable (\w+) is not set", str(error))
            if absent and not Path(absent[1]).exists():
                pytest.skip(f"{absent[1]} is absent")
            if not needed:
                raise
            monkeypatch.setenv(needed[1], str(tmp_path))
            config = load_config(path)
        if path.name.startswith("mask18"):
            assert config.space().num_classes == 18
        assert validate(Config, parse_yaml(config.to_yaml(), path.name)) == config

    @pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
    def test_no_key_of_a_file_is_unknown(self, path: Path) -> None:
        # Also where a file that it names is absent: keys are checked before values.
        assert not [line for line in problems(Config, read_yaml(path), path.parent) if "unknown" in line]

    def test_reading_gives_the_folder_that_paths_are_relative_to(self, tmp_path: Path) -> None:
        data, folder = read_config(write(tmp_path, BASE))
        assert data == BASE
        assert folder == tmp_path


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


class TestSections:
    """What is handed out of a config to those that need a part of it."""

    def test_the_objective_has_the_losses_of_the_heads_and_of_the_classes(self) -> None:
        plain, joint = resolved({}).objective(), resolved({"joint": {}}).objective()
        assert tuple(plain.heads) == plain.learned.task_names
        assert plain.joint is None
        assert joint.joint is not None

    def test_a_joint_term_that_says_nothing_is_none(self) -> None:
        found = [resolved(changes).evaluation() for changes in ({}, {"joint": {}}, {"joint.term": "none"})]
        assert [settings.joint_term for settings in found] == [False, True, False]
        assert found[0].monitor is None
        assert resolved({"training.patience": 2}).evaluation().monitor == resolved({}).training.monitor

    def test_a_changed_config_is_checked_anew_and_the_first_is_left(self) -> None:
        config = resolved({})
        assert config.with_changes({"training.epochs": 3}).training.epochs == 3
        assert config == resolved({})
        with pytest.raises(UserError, match=r"^training\.epochs: "):
            config.with_changes({"training.epochs": 0})


def test_a_tracker_is_named_once() -> None:
    assert found({"tracking": ["csv", {"name": "mlflow"}]}) == []
    [line] = found({"tracking": ["csv", {"name": "csv"}]})
    assert line.endswith("tracking: names each tracker once, found csv, csv")
