"""The contract of the stages of a recipe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from multitask.config import Config
from multitask.data.splits import Split
from multitask.progress import StudyProgress
from multitask.recipe import STAGES, StageSettings
from multitask.recipe.budget import Clock
from multitask.recipe.costs import Costs
from multitask.recipe.folder import RecipeFolder
from multitask.recipe.lab import Lab
from multitask.recipe.settings import Plan, RecipeSettings
from multitask.recipe.stage import CannotHoldError, StagePlan
from multitask.settings import validate
from multitask.testing.expect import expect
from multitask.utils.records import to_json_data

_HOUR = 3_600.0


class PaperLab(Lab):
    """A lab that reads no data and trains nothing: 120 images train, 30 validate, at a hundredth of a second each.

    Args:
        stage: the one that is planned.
        base: the config.
    """

    def __init__(self, stage: StageSettings, base: Config) -> None:
        judges = {"seeds": stage.least_seeds}
        given = {"name": "paper", "base": "config.yaml", "judges": judges, "stages": ["baseline"]}
        clock = Clock(Path("nowhere") / "clock.json", _HOUR)
        clock.image_s = 0.01
        plan = Plan(validate(RecipeSettings, given), base, _HOUR)
        super().__init__(plan, RecipeFolder(Path("nowhere")), clock, StudyProgress())
        self.epochs = base.training.epochs
        self.costs = _PaperCosts(clock)


class _PaperCosts(Costs):
    def split(self, config: Config) -> Split:
        """The same of any config."""
        return Split(np.arange(120), np.arange(120, 150))

    def num_served(self, config: Config) -> int:
        """All that train."""
        return self.num_images(config)


def says_what_it_is(stage: StageSettings, base: Config) -> None:
    """For the page, and for those who write recipes."""
    expect(stage.title[:1].isupper(), stage, "have a title that begins with a capital, for the page")
    expect(type(stage).__doc__, stage, "have a docstring")
    expect(stage.name.isidentifier(), stage, f"be named by a word, since its files are, not {stage.name!r}")


def what_changes_the_config_is_judged(stage: StageSettings, base: Config) -> None:
    """Or a recipe would keep what gains nothing; the baseline alone changes nothing and is none."""
    judged = stage.judged or not stage.changes_config or stage.name == "baseline"
    expect(judged, stage, "be judged where it changes the config")
    expect(stage.requires in ("", *STAGES), stage, f"require a stage that there is, not {stage.requires!r}")
    expect(stage.least_seeds >= 1, stage, "ask the judges for a seed or more")


def reads_back_as_it_was_written(stage: StageSettings, base: Config) -> None:
    """A recipe keeps its stages, and goes on with the same alone."""
    written = stage.model_dump(mode="json")
    again = validate(type(stage), written).model_dump(mode="json")
    expect(again == written, stage, f"read back as it was written, not as {again!r}")


def refuses_settings_that_it_does_not_have(stage: StageSettings, base: Config) -> None:
    """A misspelt key is told, in Python as in a recipe's file, and no default takes its place."""
    try:
        type(stage).model_validate({**stage.model_dump(mode="json"), "no_such_setting": 1})
    except ValueError as error:
        expect("no_such_setting" in str(error), stage, "name the key that it does not have")
    else:
        expect(False, stage, "refuse a key that it does not have")


def goes_with_the_config_or_says_why_not(stage: StageSettings, base: Config) -> None:
    """In one line, which a recipe begins with the stage's name."""
    try:
        stage.check(base)
    except ValueError as error:
        line = str(error)
        is_right = ":" in line and "\n" not in line
        expect(is_right, stage, f"refuse a config in one line that begins with a key, not {line!r}")


def plans_within_what_is_left(stage: StageSettings, base: Config) -> None:
    """Or says that nothing can be held; the same seconds give the same plan, which a stopped recipe reads again."""
    lab = PaperLab(stage, base)
    for left_s in (0.0, 60.0, 1e9):
        try:
            plan = stage.plan(lab, left_s)
        except CannotHoldError as error:
            expect(str(error), stage, "say what it would take where it cannot be held")
            continue
        expect(left_s > 0, stage, "raise CannotHoldError where no seconds are left")
        within = plan.seconds <= left_s
        expect(within, stage, f"be planned within the {left_s:g} s that are left, not {plan.seconds:g} s")
        expect(plan.epochs >= 1, stage, "plan runs of an epoch or more")
        expect(stage.plan(lab, left_s) == plan, stage, "give the same plan for the same seconds")
        again = TypeAdapter(StagePlan).validate_python(to_json_data(plan))
        expect(again == plan, stage, f"have a plan that reads back as it was written, not as {again!r}")


def reserves_no_more_than_the_budget(stage: StageSettings, base: Config) -> None:
    """Or no stage before it would be planned."""
    reserved = stage.reserve_s(PaperLab(stage, base))
    leaves = 0 <= reserved < _HOUR
    expect(leaves, stage, f"leave others some of the budget of {_HOUR:g} s, and not reserve {reserved:g} s")


STAGE_CHECKS = (
    says_what_it_is,
    what_changes_the_config_is_judged,
    reads_back_as_it_was_written,
    refuses_settings_that_it_does_not_have,
    goes_with_the_config_or_says_why_not,
    plans_within_what_is_left,
    reserves_no_more_than_the_budget,
)
"""What is checked of a stage, each alone."""


def check_stage(stage: StageSettings, base: Config) -> None:
    """The contract of the stages of a recipe, whole, over one of them; nothing is trained.

    >>> from multitask.recipe import STAGES
    >>> tasks = {"shape": {"classes": ["round", "square"]}}
    >>> base = Config.model_validate({"labels": {"tasks": tasks}, "data": {"root": "images"}})
    >>> check_stage(STAGES["crop"](), base)

    Args:
        stage: the stage.
        base: a config that it goes with, or not.

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in STAGE_CHECKS:
        check(stage, base)
