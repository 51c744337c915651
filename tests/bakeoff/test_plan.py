from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.bakeoff.plan import Plan, digest_of, load_bakeoff
from multitask.config import Config
from multitask.errors import UserError
from multitask.settings.yaml_text import dump_yaml

Make = Callable[..., Path]


def by_name(plan: Plan, place: dict[str, Any] | None = None) -> dict[str, Config]:
    place = plan.place(plan.settings.points[0], 0) if place is None else place
    return {row.name: plan.config(row, {}, place) for row in plan.contenders}


class TestConfigs:
    def test_a_contender_changes_what_all_change_and_set_goes_between(self, bakeoff_file: Make) -> None:
        file = bakeoff_file(
            overrides={"training.lr": 0.1, "augment.strength": 0.1, "training.batch_size": 8},
            contenders={"a": None, "b": {"overrides": {"training.lr": 0.3}}},
        )
        found = by_name(load_bakeoff(file, ["augment.strength=0.2", "training.lr=0.2"]))
        assert [found[name].training.lr for name in "ab"] == [0.2, 0.3]
        assert {config.augment.strength for config in found.values()} == {0.2}
        assert {config.training.batch_size for config in found.values()} == {8}

    def test_every_head_can_be_meant_whatever_the_heads_are(self, bakeoff_file: Make) -> None:
        focal = {"heads.*.loss.name": "focal", "heads.*.loss.gamma": 3.0, "heads.*.weight": 2.0}
        file = bakeoff_file(
            contenders={
                "flat": {"overrides": {**focal, "model.sharing.name": "flat"}},
                "shared": {"overrides": {**focal, "heads.age.weight": 5.0}},
                "plain": None,
            }
        )
        found = by_name(load_bakeoff(file))
        assert [head.loss.name for head in found["flat"].heads.values()] == ["focal"]
        assert {head.loss.model_dump()["gamma"] for head in found["shared"].heads.values()} == {3.0}
        assert {name: head.weight for name, head in found["shared"].heads.items()} == {"mask": 2, "gender": 2, "age": 5}
        assert {head.loss.name for head in found["plain"].heads.values()} == {"cross_entropy"}

    def test_a_contender_can_have_a_config_of_its_own(
        self, bakeoff_file: Make, tiny: Callable[..., Config], tmp_path: Path
    ) -> None:
        (tmp_path / "own.yaml").write_text(dump_yaml(tiny({"training.lr": 0.5}).model_dump(mode="json")))
        found = by_name(load_bakeoff(bakeoff_file(contenders={"a": {"config": "own.yaml"}, "b": None})))
        assert found["a"].training.lr == 0.5 != found["b"].training.lr

    def test_runs_have_seeds_and_folds_of_one_dealing(self, bakeoff_file: Make) -> None:
        plan = load_bakeoff(bakeoff_file(seeds=[7, 8, 9, 4], folds=2, split_seed=5))
        configs = [by_name(plan, plan.place("all", index))["flat"] for index in range(4)]
        assert [config.seed for config in configs] == [7, 8, 9, 4]
        assert [config.data.fold for config in configs] == [0, 1, 0, 1]
        assert {(config.data.folds, config.data.split_seed) for config in configs} == {(2, 5)}

    def test_without_folds_all_runs_hold_out_the_same(self, bakeoff_file: Make) -> None:
        plan = load_bakeoff(bakeoff_file(seeds=2))
        configs = [by_name(plan, plan.place("all", index))["flat"] for index in range(2)]
        assert {(config.data.split_seed, config.data.val_fraction) for config in configs} == {(0, 0.3)}

    def test_tuning_has_a_seed_and_a_split_of_its_own(self, bakeoff_file: Make) -> None:
        plan = load_bakeoff(bakeoff_file(folds=2, tune={"training.lr": [0.1, 0.2], "augment.strength": [0.0, 0.5]}))
        assert len(plan.combinations) == 4
        config = plan.config(plan.contenders[0], plan.combinations[1], plan.tuning_place())
        assert (config.training.lr, config.augment.strength) == (0.1, 0.5)
        assert config.seed not in plan.settings.seeds
        assert config.data.split_seed != plan.settings.split_seed

    def test_the_axis_is_the_number_of_groups_to_train(self, bakeoff_file: Make) -> None:
        plan = load_bakeoff(bakeoff_file(axis={"groups": [3, "all"]}))
        assert [by_name(plan, plan.place(p, 0))["flat"].data.train_groups for p in plan.settings.points] == [3, None]


class TestContendersOfSeveralSources:
    """They may do as they like with a source's images, but not read others."""

    def file(self, bakeoff_file: Make, tiny: Callable[..., Config], contender: dict[str, Any]) -> Path:
        root = str(tiny().data.root)
        sources = {name: {"root": root, "source": {"name": "competition"}} for name in ("people", "faces")}
        sources["faces"]["tasks"] = ["gender", "age"]
        source = {"name": "several", "target": "people", "sources": sources}
        changes = {f"data.source.sources.faces.{key}": value for key, value in contender.items()}
        base = {"data.root": "", "data.source": source}
        return bakeoff_file(base, contenders={"a": None, "b": {"overrides": changes}})

    @pytest.mark.parametrize(
        "own",
        [
            {"cover.share": 0.5},
            {"strength": 0.9},
            {"weights": {"age": 0.5}},
            {"crop": {"name": "centre"}},
            {"fit": "pad"},
        ],
        ids=str,
    )
    def test_may_treat_the_images_of_a_source_otherwise(
        self, bakeoff_file: Make, tiny: Callable[..., Config], own: dict[str, Any]
    ) -> None:
        assert len(load_bakeoff(self.file(bakeoff_file, tiny, own)).contenders) == 2

    @pytest.mark.parametrize("own", [{"tasks": ["gender"]}, {"source.links_outside": True}], ids=str)
    def test_may_not_read_other_samples(
        self, bakeoff_file: Make, tiny: Callable[..., Config], own: dict[str, Any]
    ) -> None:
        with pytest.raises(
            UserError, match=r"contenders\.b: data\.source is another than a's; they would not be scored"
        ):
            load_bakeoff(self.file(bakeoff_file, tiny, own))


class TestDigest:
    def test_tells_what_is_trained_from_how_it_is_answered(self, tiny: Callable[..., Config]) -> None:
        one, other = tiny(), tiny({"decode.name": "class_bias"})
        assert digest_of(one) == digest_of(other)
        assert digest_of(one, decode=True) != digest_of(other, decode=True)
        assert digest_of(one) != digest_of(tiny({"seed": 1}))
        assert digest_of(one) == digest_of(tiny({"tracking": ["csv"]}))
        assert digest_of(one, ignore=("seed", "data.fold")) == digest_of(
            tiny({"seed": 1}), ignore=("seed", "data.fold")
        )


OTHER_TASKS = {"labels": {"tasks": {"mask": {"classes": ["wear", "incorrect", "not_worn"]}}}}


class TestRefused:
    @pytest.mark.parametrize(
        ("settings", "parts"),
        [
            ({"contenders": {"a": None, "b": {"overrides": {"trainin.lr": 1}}}}, ("contenders.b", "'training'")),
            ({"contenders": {"a": None, "b": {"overrides": {"training.lr": -1}}}}, ("contenders.b", "training.lr")),
            ({"contenders": {"a": None, "b": {"overrides": {"heads.agee.weight": 1}}}}, ("contenders.b", "'age'")),
            ({"contenders": {"a": None, "b": {"config": "no.yaml"}}}, ("contenders.b", "no.yaml")),
            ({"overrides": {"training.lrr": 1}}, ("contenders.flat", "training.lrr", "'lr'")),
            ({"contenders": {"a": None, "b": {"overrides": OTHER_TASKS}}}, ("contenders.b", "label space", "a")),
            ({"contenders": {"a": None, "b": None}}, ("contenders.b", "same settings as a")),
            ({"contenders": {"a": None, "b": {"overrides": {"seed": 3}}}}, ("contenders.b.overrides.seed", "seeds")),
            ({"overrides": {"data.fold": 1}}, ("overrides.data.fold", "folds")),
            ({"overrides": {"training.epochs": 2}, "budget": {"images": 500}}, ("overrides.training.epochs", "budget")),
            ({"contenders": {"a": None, "b": {"overrides": {"data.root": "/nowhere"}}}}, ("contenders.b", "data.root")),
            (
                {"contenders": {"a": None, "b": {"overrides": {"data.val_fraction": 0.4}}}},
                ("contenders.b", "data.val_fraction"),
            ),
            ({"overrides": {"data.val_fraction": 0.0}}, ("data.val_fraction", "0")),
            ({"tune": {"training.lr": [0.1, -1]}}, ("contenders.flat", "training.lr", "-1")),
            ({"tune": {"training.lrr": [0.1]}}, ("training.lrr", "'lr'")),
            ({"tune": {"model.sharing.name": ["flat"]}}, ("tune.model.sharing.name", "contenders.flat")),
            ({"tune": {"seed": [1, 2]}}, ("tune.seed", "seeds")),
            ({"metric": "joint.macro_f2"}, ("metric", "'joint.macro_f2'", "'joint.macro_f1'")),
            ({"metric": "joint.ece"}, ("metric", "'joint.ece'")),
            ({"base": "nobody.yaml"}, ("nobody.yaml",)),
        ],
    )
    def test_in_a_line(self, bakeoff_file: Make, settings: dict[str, Any], parts: tuple[str, ...]) -> None:
        with pytest.raises(UserError) as caught:
            load_bakeoff(bakeoff_file(**settings))
        assert "\n" not in str(caught.value)
        for part in parts:
            assert part in str(caught.value)

    def test_a_tuned_key_that_a_contender_sets_for_every_head(self, bakeoff_file: Make) -> None:
        contenders = {"a": None, "b": {"overrides": {"heads.*.weight": 2.0}}}
        with pytest.raises(UserError, match=r"tune\.heads\.age\.weight: contenders\.b\.overrides\.heads\.\*\.weight"):
            load_bakeoff(bakeoff_file(contenders=contenders, tune={"heads.age.weight": [1.0, 2.0]}))
