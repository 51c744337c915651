"""The study file: what it may hold, what is refused in one line, and every one that is shipped."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config
from multitask.errors import UserError
from multitask.settings import ExtensionError, problems, validate
from multitask.settings.extensions import temporary_extensions
from multitask.settings.yaml_text import dump_yaml, read_yaml
from multitask.study.pruners import DominatedSettings, MedianSettings, NoPrunerSettings
from multitask.study.samplers import RandomSettings, TPESettings
from multitask.study.settings import Plan, StudySettings, load_study
from tests.shipped import load_shipped

MakePlan = Callable[..., Plan]

SHIPPED = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))
STUDIES = [path for path in SHIPPED if "space" in read_yaml(path)]  # the others are bake-offs and recipes
LR = {"training.lr": {"low": 1e-4, "high": 1e-2, "log": True}}
STUDY: dict[str, Any] = {"name": "test", "base": "base.yaml", "budget": {"trials": 10}, "space": LR}


def problem_of(**changes: Any) -> str:
    found = problems(StudySettings, {**STUDY, **changes})
    assert len(found) == 1
    assert "\n" not in found[0]
    return found[0]


class TestStudySettings:
    @pytest.mark.parametrize(
        ("changes", "line"),
        [
            ({"nmae": "x"}, "nmae: unknown key; did you mean 'name'?"),
            ({"name": ""}, "name: text should have at least 1 character"),
            ({"base": 3}, "base: input should be text, found 3"),
            ({"space": {}}, "space: section should have at least 1 item"),
            ({"space": {"a": {"low": 2, "high": 1}}}, "space.a: low must be less than high, found 2.0 and 1.0"),
            (
                {"space": {"a.b": {"low": 0, "high": 1, "log": True}}},
                "space.a.b: low must be above 0 where log is true",
            ),
            (
                {"space": {"a.b": {"low": 0, "hihg": 1}}},
                "space.a.b.hihg: unknown key (of 'float'); did you mean 'high'?",
            ),
            ({"space": {"a.b": {"kind": "intt"}}}, "space.a.b.kind: unknown kind 'intt'; did you mean 'int'"),
            ({"space": {"a.b": 3}}, "space.a.b: input should be a section of keys"),
            ({"objective": []}, "objective: list should have at least 1 item"),
            ({"objective": ["a", "a"]}, "objective names a figure twice"),
            ({"direction": "max"}, "direction.0: input should be 'maximize' or 'minimize', found 'max'"),
            (
                {"objective": ["a", "b"], "direction": "maximize"},
                "direction must be one per objective (2), found 1",
            ),
            ({"sampler": "tpee"}, "sampler.name: unknown name 'tpee'; did you mean 'tpe'?"),
            ({"sampler": {"startup": 3}}, "sampler.startup: unknown key (of 'tpe'); did you mean 'startup_trials'?"),
            ({"sampler": {"name": "nsga2", "population": 1}}, "sampler.population: input should be greater than or"),
            ({"pruner": "medain"}, "pruner.name: unknown name 'medain'; did you mean 'median'?"),
            ({"pruner": {"name": "hyperband", "reduction": 1}}, "pruner.reduction: input should be greater than or"),
            (
                {"objective": ["a", "b"], "pruner": "median"},
                "pruner: median judges one objective; with several use dominated or none",
            ),
            (
                {"objective": ["a", "b"], "pruner": "hyperband"},
                "pruner: hyperband judges one objective; with several use dominated or none",
            ),
            ({"budget": {}}, "budget: must set trials, hours or both"),
            ({"budget": {"trials": 0}}, "budget.trials: input should be greater than or equal to 1, found 0"),
            ({"budget": {"hours": 0}}, "budget.hours: input should be greater than 0, found 0"),
            ({"budget": {"minutes": 1}}, "budget.minutes: unknown key; it can be 'trials', 'hours'"),
            ({"workers": 0}, "workers: input should be greater than or equal to 1, found 0"),
            ({"seed": -1}, "seed: input should be greater than or equal to 0, found -1"),
            ({"stop_after_failures": 0}, "stop_after_failures: input should be greater than or equal to 1, found 0"),
            (
                {"heartbeat": {"interval_s": 30, "grace_s": 60}},
                "heartbeat: grace_s must be more than two intervals, found 60 and 30",
            ),
        ],
    )
    def test_what_is_wrong_is_one_line_with_the_key(self, changes: dict[str, Any], line: str) -> None:
        assert problem_of(**changes).startswith(line)

    @pytest.mark.parametrize("key", ["name", "base", "budget", "space"])
    def test_what_must_be_there_is_named(self, key: str) -> None:
        found = problems(StudySettings, {name: value for name, value in STUDY.items() if name != key})
        assert found == [f"{key}: Field required"]

    def test_what_a_file_leaves_out_is_the_usual(self) -> None:
        study = validate(StudySettings, STUDY)
        assert study.objective == ("joint.macro_f1",)
        assert study.directions == ("maximize",)
        assert study.sampler == TPESettings()
        assert study.chosen_pruner == MedianSettings()

    def test_words_are_short_for_sections_and_for_lists_of_one(self) -> None:
        study = validate(StudySettings, {**STUDY, "objective": "joint.ece", "direction": "maximize", "pruner": "none"})
        assert (study.objective, study.directions) == (("joint.ece",), ("maximize",))
        assert study.chosen_pruner == NoPrunerSettings()
        assert validate(StudySettings, {**STUDY, "sampler": "random"}).sampler == RandomSettings()

    def test_several_objectives_are_pruned_where_every_head_is_behind(self) -> None:
        study = validate(StudySettings, {**STUDY, "objective": ["joint.macro_f1", "joint.ece"]})
        assert study.chosen_pruner == DominatedSettings()
        assert validate(StudySettings, {**STUDY, "pruner": "dominated"}).chosen_pruner == DominatedSettings()

    @pytest.mark.parametrize(
        ("metric", "direction"),
        [
            ("joint.macro_f1", "maximize"),
            ("joint.accuracy", "maximize"),
            ("tasks.age.macro_f1", "maximize"),
            ("attribution.perfect.age", "maximize"),
            ("joint.classes.0.recall", "maximize"),
            ("joint.ece", "minimize"),
            ("tasks.age.ece", "minimize"),
            ("tasks.age.number.mae", "minimize"),
            ("joint.loss", "minimize"),
            ("tasks.age.loss", "minimize"),
            ("attribution.lost.age", "minimize"),
            ("attribution.absent", "minimize"),
            ("tasks.loss.accuracy", "maximize"),
        ],
    )
    def test_losses_go_down_and_scores_up(self, metric: str, direction: str) -> None:
        assert validate(StudySettings, {**STUDY, "objective": metric}).directions == (direction,)

    def test_several_objectives_have_a_direction_each(self) -> None:
        several = {**STUDY, "objective": ["joint.ece", "joint.macro_f1"]}
        assert validate(StudySettings, several).directions == ("minimize", "maximize")
        given = validate(StudySettings, {**several, "direction": ["maximize", "minimize"]})
        assert given.directions == ("maximize", "minimize")


class TestPlan:
    @pytest.mark.parametrize(
        ("objective", "line"),
        [
            (
                "joint.macrof1",
                "objective: report.json has no figure 'joint.macrof1'; did you mean 'joint.macro_f1'?",
            ),
            ("macro_f1", "objective: report.json has no figure 'macro_f1'; did you mean 'joint.macro_f1' or "),
            (
                "tasks.agee.macro_f1",
                "objective: report.json has no figure 'tasks.agee.macro_f1'; did you mean 'tasks.age",
            ),
            ("joint", "objective: report.json has no figure 'joint'"),
            ("joint.classes.0.name", "objective: report.json has no figure 'joint.classes.0.name'"),
            ("joint.classes.18.f1", "objective: report.json has no figure 'joint.classes.18.f1'"),
            ("", "objective: report.json has no figure ''"),
            (  # an epoch has it, a report has not
                "joint.loss",
                "objective: report.json has no figure 'joint.loss'; did you mean 'joint.macro_f1' or 'joint.accuracy'?",
            ),
            (["joint.macro_f1", "joint.eec"], "objective: report.json has no figure 'joint.eec'; did you mean "),
        ],
    )
    def test_a_metric_that_does_not_exist_is_named_with_the_nearest(
        self, objective: Any, line: str, make_plan: MakePlan
    ) -> None:
        with pytest.raises(UserError) as caught:
            make_plan(LR, objective=objective)
        assert str(caught.value).startswith(line)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("pruner", ["median", "hyperband"])
    def test_a_figure_that_no_epoch_has_cannot_be_pruned_by(self, pruner: str, make_plan: MakePlan) -> None:
        with pytest.raises(UserError) as caught:
            make_plan(LR, {"training.epochs": 3}, objective="joint.ece", pruner=pruner)
        assert str(caught.value).startswith(
            f"pruner: {pruner} needs a score after every epoch, which joint.ece is not; use none, or one of joint.macro"
        )
        for other in ("none", "dominated"):
            assert make_plan(LR, objective="joint.ece", pruner=other)

    @pytest.mark.parametrize(
        "metric", ["joint.macro_f1", "joint.accuracy", "tasks.age.macro_f1", "tasks.gender.accuracy"]
    )
    def test_what_every_epoch_has_can_be_pruned_by(self, metric: str, make_plan: MakePlan) -> None:
        plan = make_plan(LR, {"training.epochs": 3}, objective=metric, pruner="hyperband")
        assert plan.settings.objective == (metric,)

    @pytest.mark.parametrize(
        ("epochs", "min_epochs", "fits"), [(3, 1, True), (2, 1, False), (2, 5, False), (6, 4, True), (6, 5, False)]
    )
    def test_rungs_beyond_the_last_epoch_are_refused(
        self, epochs: int, min_epochs: int, fits: bool, make_plan: MakePlan
    ) -> None:
        given = (LR, {"training.epochs": epochs})
        pruner = {"name": "hyperband", "min_epochs": min_epochs}
        if fits:
            assert make_plan(*given, pruner=pruner)
        else:
            line = rf"^pruner\.min_epochs: must leave an epoch before the last of training\.epochs \({epochs}\) to"
            with pytest.raises(UserError, match=line):
                make_plan(*given, pruner=pruner)

    @pytest.mark.parametrize("pruner", ["median", "dominated"])
    def test_a_warm_up_that_leaves_nothing_to_stop_is_refused(self, pruner: str, make_plan: MakePlan) -> None:
        for warmup, fits in [(None, True), (4, True), (5, False), (6, False)]:
            given = (LR, {"training.epochs": 6})
            section = {"name": pruner, "warmup_epochs": warmup}
            if fits:
                assert make_plan(*given, pruner=section)
                continue
            line = r"^pruner\.warmup_epochs: must leave an epoch before the last of training\.epochs \(6\)"
            with pytest.raises(UserError, match=line):
                make_plan(*given, pruner=section)

    def test_of_how_many_epochs_trials_are_the_space_may_say(self, make_plan: MakePlan) -> None:
        space = {"training.epochs": {"kind": "int", "low": 3, "high": 9}}
        for pruner, first_that_is_too_long in (({"name": "hyperband", "min_epochs": 7}, 8), ({"warmup_epochs": 7}, 8)):
            key = next(key for key in pruner if key != "name")
            plan = make_plan(space, {"training.epochs": 2}, pruner=pruner)
            assert plan.settings.chosen_pruner.build(plan.space.most_epochs)
            with pytest.raises(UserError, match=rf"^pruner\.{key}: must .*training\.epochs \(9\)"):
                make_plan(space, {"training.epochs": 2}, pruner={**pruner, key: first_that_is_too_long})

    def test_a_base_in_which_nobody_validates_is_refused(self, make_plan: MakePlan) -> None:
        with pytest.raises(UserError, match=r"^data\.val_fraction: a study needs groups that validate, but it is 0$"):
            make_plan(LR, {"data.val_fraction": 0})
        assert make_plan(LR, {"data.val_fraction": 0.2, "data.folds": 3})

    def test_augmentation_is_not_tuned_on_features_that_are_kept_of_one(
        self, make_plan: MakePlan, tmp_path: Path
    ) -> None:
        weights = tmp_path / "weights.pth"
        weights.touch()  # which a check does not read
        kept = {"weights": str(weights), "freeze": "all", "features": {"views": 3}, "name": "test_resnet"}
        space = {"augment.strength": {"low": 0.1, "high": 0.5}}
        with pytest.raises(
            UserError, match=r"^space\.augment\.strength: is tuned, but model\.backbone\.features keeps 3"
        ):
            make_plan(space, {"model.backbone": kept})
        assert make_plan(LR, {"model.backbone": kept})
        assert make_plan(space, {"model.backbone": {**kept, "features": None}})
        of_source = "data.source.sources.a.strength"
        sources = {name: {"root": str(tmp_path / name), "source": {"name": "competition"}} for name in "ab"}
        several = {"data.root": "", "data.source": {"name": "several", "sources": sources}}
        with pytest.raises(
            UserError, match=rf"^space\.{re.escape(of_source)}: is tuned, but model\.backbone\.features"
        ):
            make_plan({of_source: {"low": 0.1, "high": 0.5}}, {"model.backbone": kept, **several})

    def test_the_space_is_checked(self, make_plan: MakePlan) -> None:
        with pytest.raises(UserError, match=r"^space\.training\.lrr: unknown key; did you mean "):
            make_plan({"training.lrr": {"low": 1, "high": 2}})

    def test_what_is_kept_of_a_plan_makes_it_again(self, make_plan: MakePlan) -> None:
        plan = make_plan(
            {**LR, "heads": "head_weights", "augment.flip": {"kind": "categorical", "choices": [True, False]}},
            {"heads.age.weight": 2.0},
            objective=["joint.macro_f1", "joint.ece"],
            sampler={"name": "nsga2", "population": 4},
            pruner="dominated",
        )
        again = Plan(
            validate(StudySettings, plan.settings.model_dump(mode="json")),
            validate(Config, plan.base.model_dump(mode="json")),
        )
        assert (again.settings, again.base) == (plan.settings, plan.base)
        assert again.space.distributions() == plan.space.distributions()


OWN_SAMPLER = """
from typing import Literal

from multitask.study import SAMPLERS
from multitask.study.samplers import TPESettings


class BackwardsSettings(TPESettings):
    name: Literal["backwards"] = "backwards"


SAMPLERS["backwards"] = BackwardsSettings
"""


class TestLoadStudy:
    @pytest.fixture
    def path(self, tiny: Callable[..., Config], tmp_path: Path) -> Path:
        """A study file in a folder beside its base's."""
        (tmp_path / "configs").mkdir()
        (tmp_path / "configs" / "base.yaml").write_text(tiny().to_yaml())
        path = tmp_path / "studies" / "study.yaml"
        path.parent.mkdir()
        path.write_text(dump_yaml({**STUDY, "base": "../configs/base.yaml", "overrides": {"training.epochs": 5}}))
        return path

    def change(self, path: Path, **changes: Any) -> Path:
        path.write_text(dump_yaml({**read_yaml(path), **changes}))
        return path

    def test_the_base_may_come_from_the_environment(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        base = str(path.parent.parent / "configs" / "base.yaml")
        monkeypatch.setenv("MT_BASE", base)
        assert load_study(self.change(path, base="${MT_BASE}")).settings.base == base

    def test_the_base_is_the_file_with_the_studys_overrides_and_then_the_lines(
        self, path: Path, tiny: Callable[..., Config], tmp_path: Path
    ) -> None:
        plan = load_study(path)
        assert plan.settings.base == str(tmp_path / "configs" / "base.yaml")
        assert plan.base == tiny({"training.epochs": 5})
        assert load_study(path, ["training.epochs=7", "seed=3"]).base == tiny({"training.epochs": 7, "seed": 3})

    def test_paths_in_the_file_are_relative_to_it_and_those_of_the_line_to_where_one_is(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.change(path, overrides={"data.root": "images"})
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        assert load_study(path).base.data.root == str(tmp_path / "studies" / "images")
        assert load_study(path, ["data.root=../others"]).base.data.root == str(tmp_path / "others")
        assert load_study(Path("../studies/study.yaml")).settings.base == str(tmp_path / "configs" / "base.yaml")

    def test_the_bases_extensions_are_there_before_the_studys_own_rows_are_looked_up(
        self, path: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "mine.py").write_text(OWN_SAMPLER)
        self.change(path, sampler={"name": "backwards", "startup_trials": 3}, overrides={"extensions": ["../mine.py"]})
        with temporary_extensions():
            with pytest.raises(ExtensionError, match=r"^\S*base\.yaml: extensions: \S*mine\.py is code"):
                load_study(path)
            plan = load_study(path, allow_extensions=True)
            assert plan.settings.sampler.model_dump() == {"name": "backwards", "startup_trials": 3, "candidates": 24}
            assert plan.base.extensions == (str(tmp_path / "mine.py"),)
        self.change(path, base="gone.yaml", overrides={})
        with pytest.raises(UserError, match=r"^sampler\.name: unknown name 'backwards'"):
            load_study(path)

    def test_the_lines_budget_goes_before_the_files(self, path: Path) -> None:
        settings = load_study(path, budget={"trials": 3, "hours": None, "workers": 2}).settings
        assert (settings.budget.trials, settings.budget.hours, settings.workers) == (3, None, 2)
        settings = load_study(path, budget={"trials": None, "hours": 0.5, "workers": None}).settings
        assert (settings.budget.trials, settings.budget.hours, settings.workers) == (10, 0.5, 1)

    @pytest.mark.parametrize(
        ("changes", "line"),
        [
            ({"naem": 1}, r"naem: unknown key; did you mean 'name'"),
            ({"overrides": {"training.epohcs": 3}}, r"training\.epohcs: unknown key; did you mean 'epochs'\?"),
            ({"overrides": {"training.epochs": 0}}, r"training\.epochs: input should be greater than or equal to 1"),
            ({"overrides": 3}, r"overrides: input should be a section of keys"),
            ({"base": "../configs/bse.yaml"}, r".*/configs/bse\.yaml: no such file"),
            ({"objective": "joint.f1"}, r"objective: report\.json has no figure 'joint\.f1'"),
            ({"space": {"seed": {"low": 0, "high": 1}}}, r"space\.seed: decides which images a trial is judged on; "),
        ],
    )
    def test_what_is_wrong_is_one_line(self, changes: dict[str, Any], line: str, path: Path) -> None:
        with pytest.raises(UserError, match=f"^{line}") as caught:
            load_study(self.change(path, **changes))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("name", ["trials", "hours", "workers"])
    def test_a_budget_of_nothing_is_refused_by_its_key(self, name: str, path: Path) -> None:
        key = name if name == "workers" else f"budget\\.{name}"
        with pytest.raises(UserError, match=f"^{key}: input should be greater than"):
            load_study(path, budget={name: 0})

    def test_a_file_that_is_absent_or_no_study_is_named(self, path: Path) -> None:
        with pytest.raises(UserError, match=r"other\.yaml: no such file$"):
            load_study(path.with_name("other.yaml"))
        path.write_text("name: [")
        with pytest.raises(UserError, match=r"study\.yaml, line 1, column \d+: not YAML"):
            load_study(path)


class TestShippedStudies:
    def test_there_are_some(self) -> None:
        assert STUDIES

    @pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
    def test_every_study_loads_and_its_whole_space_makes_valid_configs(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        base = Path(path.parent / read_yaml(path)["base"])
        plan = load_shipped(load_study, path, tmp_path, monkeypatch, [base])
        assert plan.settings.base == str(base.resolve())
        assert plan.space.distributions()
        _, outside = plan.space.base_params()
        assert not outside, "the base, which is trial 0, should be a point of the space"

    @pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
    def test_no_key_of_a_file_is_unknown(self, path: Path) -> None:
        # Also where a file that the base names is absent: the study file itself is whole.
        assert not problems(StudySettings, read_yaml(path), path.parent)

    def test_no_two_have_the_same_name(self) -> None:
        names = [read_yaml(path)["name"] for path in STUDIES]
        assert len(set(names)) == len(names)
