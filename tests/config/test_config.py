"""A config that is resolved runs again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.config import Config, scored_metrics
from multitask.errors import UserError
from multitask.settings import flatten, validate
from multitask.settings.yaml_text import parse_yaml
from tests.config.base import found, resolved


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
