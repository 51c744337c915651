"""What the confirming runs say, from run folders with answers of known worth."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.report_schema import RunReport, TrainingFacts
from multitask.evaluation.summary import summarise
from multitask.labels import LabelSpace
from multitask.reporting.figures import IntervalScore
from multitask.reporting.study.report_schema import ConfirmationReport
from multitask.runs.comparison import paired_differences
from multitask.runs.run import run
from multitask.study.confirmation import Candidate, Confirmation
from multitask.study.confirmation_report import verdict
from multitask.study.folder import StudyFolder
from multitask.study.settings import Plan
from multitask.utils.files import to_json
from multitask.utils.records import parse_record, record_to_json, to_json_data

MakePlan = Callable[..., Plan]

GROUPS, IMAGES = 20, 6  # of every fold, and of each group


def answers(space: LabelSpace, learned: LabelSpace, fold: int, right: float, seed: int) -> Predictions:
    """Answers to the images of a fold, each right with a probability."""
    count = GROUPS * IMAGES
    truth = np.random.default_rng(fold).integers(0, space.num_classes, count)
    rng = np.random.default_rng([seed, fold])
    guess = np.where(rng.random(count) < right, truth, rng.integers(0, space.num_classes, count))
    labels = space.decode(guess) if learned == space else guess[:, None]
    log_probs = {
        task.name: (4.0 * torch.eye(task.num_classes)[torch.from_numpy(column)]).double().log_softmax(dim=1)
        for task, column in zip(learned.tasks, labels.T, strict=True)
    }
    images = np.array([f"{fold}/{index}.png" for index in range(count)], dtype=object)
    groups = np.array([f"group {fold}-{index // IMAGES}" for index in range(count)], dtype=object)
    return Predictions(space, learned, images, groups, space.decode(truth), log_probs, guess)


def confirmed(
    plan: Plan,
    path: Path,
    rights: Mapping[int, float],
    *,
    seeds: int = 2,
    scores: Mapping[int, float | None] | None = None,
    figures: Callable[[int, int, dict[str, Any]], None] = lambda number, index, report: None,
) -> Confirmation:
    """Confirming runs whose candidates, by number, are right so often; trial 0 is the base.

    Args:
        plan: the study.
        path: where the runs are put.
        rights: per candidate, how often it is right.
        seeds: runs of each.
        scores: per candidate, what it had in the study.
        figures: changes a report before it is written: of which candidate, which run, the report.
    """
    chosen = [
        Candidate(number, (scores or {}).get(number, 0.6), {"training.lr": 1e-3 + number * 1e-5}, is_base=number == 0)
        for number in rights
    ]
    made = Confirmation(plan, StudyFolder(path), chosen, seeds)
    for each in made.runs:
        number = each.candidate.number
        predictions = answers(each.config.space(), each.config.learned_space(), each.index, rights[number], number)
        report = to_json_data(
            RunReport(
                **vars(summarise(predictions, {"name": "independent"}, 0)),
                run="r",
                split="val",
                created="2026-11-28T00:00:00+00:00",
                training=TrainingFacts(best_epoch=1, num_epochs=1, seconds=1.0),
            )
        )
        figures(number, each.index, report)
        each.folder.path.mkdir(parents=True)
        each.folder.predictions().write_text(predictions.to_csv())
        each.folder.report().write_text(to_json(report))
    return made


@pytest.fixture
def plan(make_plan: MakePlan) -> Plan:
    return make_plan({"training.lr": {"low": 1e-4, "high": 1e-2, "log": True}})


# --- who wins ---------------------------------------------------------------------------------------------------


def test_a_winner_that_is_clearly_better_beats_the_base(plan: Plan, tmp_path: Path) -> None:
    found = verdict(confirmed(plan, tmp_path, {0: 0.4, 4: 0.9}))
    assert (found.winner, found.chosen) == (4, 4)
    base, winner = found.rows
    difference = winner.difference
    assert difference is not None
    assert difference.beyond_noise
    assert 0 < difference.low < difference.value < difference.high
    assert found.sentence == (
        f"Trial 4 beats the base beyond noise: joint.macro_f1 +{difference.value:.3f}, 95% interval "
        f"+{difference.low:.3f} to +{difference.high:.3f}, over 2 fresh seeds and 40 groups."
    ).replace("+0.", "+.")
    assert base.difference is None


def test_a_winner_that_is_as_good_does_not_beat_the_base(plan: Plan, tmp_path: Path) -> None:
    found = verdict(confirmed(plan, tmp_path, {0: 0.6, 4: 0.6}))
    difference = found.rows[1].difference
    assert difference is not None
    assert difference.low < 0 < difference.high
    assert not difference.beyond_noise
    assert found.sentence.startswith("Trial 4 does not beat the base beyond noise: joint.macro_f1 ")
    assert found.sentence.endswith(", over 2 fresh seeds and 40 groups.")


def test_a_winner_that_is_worse_loses_and_the_base_is_chosen(plan: Plan, tmp_path: Path) -> None:
    found = verdict(confirmed(plan, tmp_path, {0: 0.9, 4: 0.4}))
    assert (found.winner, found.chosen) == (4, 0)
    assert found.sentence.startswith("Trial 4 is worse than the base beyond noise: joint.macro_f1 −.")
    difference = found.rows[1].difference
    assert difference is not None
    assert difference.high < 0


def test_the_winner_is_the_best_confirmed_and_not_the_best_of_the_study(plan: Plan, tmp_path: Path) -> None:
    scores = {0: 0.5, 9: 0.95, 4: 0.9, 2: 0.7}
    found = verdict(confirmed(plan, tmp_path, {0: 0.5, 9: 0.55, 4: 0.85, 2: 0.6}, scores=scores))
    assert [row.trial for row in found.rows] == [0, 9, 4, 2]
    assert [row.base for row in found.rows] == [True, False, False, False]
    assert (found.winner, found.chosen) == (4, 4)
    assert found.sentence.startswith("Trial 4 beats the base")


# --- what is compared -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("others", "words"), [(1, "95%"), (2, "97.5%"), (3, "98.3%")])
def test_the_intervals_hold_for_all_comparisons_together(others: int, words: str, plan: Plan, tmp_path: Path) -> None:
    rights = {0: 0.5, **{number: 0.5 + number / 20 for number in range(1, others + 1)}}
    made = confirmed(plan, tmp_path, rights)
    found = verdict(made)
    level = 1 - 0.05 / others
    assert found.level == pytest.approx(level, abs=1e-12)
    assert f", {words} interval " in found.sentence
    pooled = [
        Predictions.concatenate(
            [answers(plan.base.space(), plan.base.learned_space(), index, right, number) for index in range(made.seeds)]
        )
        for number, right in rights.items()
    ]
    expected = [
        difference
        for difference in paired_differences([str(number) for number in rights], pooled, plan.settings.seed, level)
        if difference.metric == "joint.macro_f1"
    ]
    assert len(expected) == others
    for row, difference in zip(found.rows[1:], expected, strict=True):
        assert row.difference is not None
        assert row.difference.value == pytest.approx(difference.value)
        assert row.difference.low == pytest.approx(difference.low)
        assert row.difference.high == pytest.approx(difference.high)


def test_more_candidates_make_the_same_comparison_less_sure(plan: Plan, tmp_path: Path) -> None:
    few = verdict(confirmed(plan, tmp_path / "few", {0: 0.5, 4: 0.6})).rows[1].difference
    many = verdict(confirmed(plan, tmp_path / "many", {0: 0.5, 4: 0.6, 1: 0.5, 2: 0.5, 3: 0.5})).rows[1].difference
    assert few is not None
    assert many is not None
    assert many.value == few.value
    assert many.low < few.low
    assert many.high > few.high


@pytest.mark.parametrize(("seeds", "words"), [(1, "1 fresh seed and 20 groups"), (3, "3 fresh seeds and 60 groups")])
def test_every_group_counts_once(seeds: int, words: str, plan: Plan, tmp_path: Path) -> None:
    found = verdict(confirmed(plan, tmp_path, {0: 0.5, 4: 0.6}, seeds=seeds))
    assert found.sentence.endswith(f", over {words}.")
    assert (found.num_seeds, found.num_folds) == (seeds, 3)
    assert (found.num_groups, found.num_images) == (seeds * GROUPS, seeds * GROUPS * IMAGES)


@pytest.mark.parametrize(
    ("objective", "compared"),
    [
        ("joint.macro_f1", "joint.macro_f1"),
        ("joint.accuracy", "joint.accuracy"),
        ("tasks.age.macro_f1", "tasks.age.macro_f1"),
        ("tasks.age.accuracy", "joint.macro_f1"),
        ("joint.ece", "joint.macro_f1"),
        (["tasks.gender.macro_f1", "joint.macro_f1"], "tasks.gender.macro_f1"),
    ],
)
def test_the_objective_is_compared_where_it_can_be_resampled(
    objective: Any, compared: str, make_plan: MakePlan, tmp_path: Path
) -> None:
    plan = make_plan({"training.lr": {"low": 1e-4, "high": 1e-2}}, objective=objective, pruner="none")
    found = verdict(confirmed(plan, tmp_path, {0: 0.4, 4: 0.9}))
    assert (found.metric, found.compared) == (plan.settings.objective[0], compared)
    assert found.sentence.startswith(f"Trial 4 beats the base beyond noise: {compared} +")


@pytest.mark.parametrize("objective", ["tasks.age.accuracy", "tasks.age.ece", "tasks.age.macro_f1"])
def test_where_no_image_has_all_labels_the_objectives_task_is_compared(
    objective: str, make_plan: MakePlan, tmp_path: Path
) -> None:
    plan = make_plan({"training.lr": {"low": 1e-4, "high": 1e-2}}, objective=objective, pruner="none")
    made = confirmed(plan, tmp_path, {0: 0.4, 4: 0.9})
    for each in made.runs:
        table = pd.read_csv(each.folder.predictions(), dtype={"age": str})
        table.loc[::2, "gender"], table.loc[1::2, "age"], table["class"] = "", "", ""
        table.to_csv(each.folder.predictions(), index=False)
    found = verdict(made)
    assert found.compared == "tasks.age.macro_f1"
    assert found.rows[0].pooled is None
    difference = found.rows[1].difference
    assert difference is not None
    assert 0 < difference.low < difference.value < difference.high


def test_the_groups_that_are_compared_are_those_whose_label_is_known(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan({"training.lr": {"low": 1e-4, "high": 1e-2}}, objective="tasks.age.macro_f1", pruner="none")
    made = confirmed(plan, tmp_path, {0: 0.4, 4: 0.9})
    for each in made.runs:
        table = pd.read_csv(each.folder.predictions(), dtype={"age": str})
        table.loc[table.index // IMAGES % 4 == 0, ["age", "class"]] = ""
        table.to_csv(each.folder.predictions(), index=False)
    found = verdict(made)
    assert found.num_groups == 40
    assert found.sentence.endswith(", over 2 fresh seeds and 30 groups of 40 whose labels are known.")


def test_where_less_is_better_the_lowest_wins(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan({"training.lr": {"low": 1e-4, "high": 1e-2}}, objective="joint.ece", pruner="none")
    eces = {0: 0.2, 4: 0.3, 2: 0.1}

    def figures(number: int, index: int, report: dict[str, Any]) -> None:
        report["joint"]["ece"] = eces[number]

    found = verdict(confirmed(plan, tmp_path, {0: 0.5, 4: 0.9, 2: 0.4}, scores=eces, figures=figures))
    assert [row.confirmed for row in found.rows] == pytest.approx([0.2, 0.3, 0.1])
    assert (found.winner, found.chosen) == (2, 2)


def test_a_network_of_one_head_is_compared_in_every_task(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan({"training.lr": {"low": 1e-4, "high": 1e-2}}, {"model.sharing.name": "flat"})
    found = verdict(confirmed(plan, tmp_path, {0: 0.4, 4: 0.9}))
    assert list(found.rows[0].tasks) == ["mask", "gender", "age"]
    assert found.sentence.startswith("Trial 4 beats the base")


# --- the rows ---------------------------------------------------------------------------------------------------


def test_a_row_holds_the_runs_their_mean_and_the_pooled_answers(plan: Plan, tmp_path: Path) -> None:
    made = confirmed(plan, tmp_path, {0: 0.5, 4: 0.7}, seeds=3, scores={0: 0.55, 4: 0.8})
    found = verdict(made)
    space = plan.base.space()
    for row, (number, right) in zip(found.rows, {0: 0.5, 4: 0.7}.items(), strict=True):
        parts = [answers(space, space, index, right, number) for index in range(3)]
        assert row.runs == pytest.approx([summarise(part, {}, 0).joint.macro_f1 for part in parts])
        assert row.confirmed == pytest.approx(statistics.fmean(row.runs))
        assert row.luck == pytest.approx({0: 0.55, 4: 0.8}[number] - row.confirmed)
        pooled = summarise(Predictions.concatenate(parts), {}, plan.settings.seed)
        assert row.pooled == pytest.approx(pooled.joint.macro_f1)
        assert row.pooled_ci == pytest.approx(pooled.joint.macro_f1_ci)
        assert row.tasks == {
            task: IntervalScore(scores.macro_f1, scores.macro_f1_ci) for task, scores in pooled.tasks.items()
        }


def test_its_file_holds_it_as_it_is(plan: Plan, tmp_path: Path) -> None:
    found = verdict(confirmed(plan, tmp_path, {0: 0.5, 4: 0.7}))
    assert parse_record(record_to_json(found), ConfirmationReport, Path("confirmation.json")) == found
    keys = "metric compared num_seeds num_folds num_groups num_images level winner chosen sentence luck_sentence rows"
    assert list(json.loads(record_to_json(found))) == [*keys.split(), "version"]


# --- luck -------------------------------------------------------------------------------------------------------


def with_scores(runs: Mapping[int, list[float | None]]) -> Callable[[int, int, dict[str, Any]], None]:
    def figures(number: int, index: int, report: dict[str, Any]) -> None:
        report["joint"]["macro_f1"] = runs[number][index]

    return figures


def test_how_much_of_the_score_was_luck_is_told_beside_the_base(plan: Plan, tmp_path: Path) -> None:
    runs: dict[int, list[float | None]] = {0: [0.50, 0.52], 4: [0.60, 0.62], 2: [0.1, 0.1]}
    scores = {0: 0.5, 4: 0.7, 2: 0.69}
    found = verdict(confirmed(plan, tmp_path, {0: 0.5, 4: 0.6, 2: 0.5}, scores=scores, figures=with_scores(runs)))
    assert found.luck_sentence == (
        "Luck: trial 4 had .700 in the study and has .610 confirmed, a difference of +.090; for the base, which nobody "
        "picked, it is −.010 (.500 and .510)."
    )
    assert [row.luck for row in found.rows] == pytest.approx([-0.01, 0.09, 0.59])


def test_a_base_without_a_score_leaves_the_winners_luck(plan: Plan, tmp_path: Path) -> None:
    runs: dict[int, list[float | None]] = {0: [None, None], 4: [1.0, 1.0]}
    found = verdict(confirmed(plan, tmp_path, {0: 0.5, 4: 0.6}, scores={0: 0.5, 4: 1.0}, figures=with_scores(runs)))
    assert found.luck_sentence == (
        "Luck: trial 4 had 1.000 in the study and has 1.000 confirmed, a difference of +.000."
    )
    assert found.rows[0].confirmed is None
    assert found.chosen == 4


def test_runs_without_a_number_count_for_nothing_and_a_winner_without_any_has_no_luck(
    plan: Plan, tmp_path: Path
) -> None:
    runs: dict[int, list[float | None]] = {0: [0.5, 0.5], 4: [0.8, None]}
    found = verdict(confirmed(plan, tmp_path / "some", {0: 0.5, 4: 0.6}, figures=with_scores(runs)))
    assert found.rows[1].runs == (0.8, None)
    assert found.rows[1].confirmed == 0.8
    none: dict[int, list[float | None]] = {0: [0.5, 0.5], 4: [None, None]}
    found = verdict(confirmed(plan, tmp_path / "none", {0: 0.5, 4: 0.6}, figures=with_scores(none)))
    assert found.rows[1].luck is None
    assert found.luck_sentence == (
        "How much of trial 4's score was luck is unknown: joint.macro_f1 is no number in its runs."
    )
    assert (found.winner, found.chosen) == (4, 0)


# --- files ------------------------------------------------------------------------------------------------------


def test_runs_whose_files_are_gone_or_damaged_are_named(plan: Plan, tmp_path: Path) -> None:
    made = confirmed(plan, tmp_path, {0: 0.5, 4: 0.7})
    predictions = made.runs[3].folder.predictions()
    text = predictions.read_text()
    predictions.write_text(text.replace("image,group", "file,group"))
    with pytest.raises(UserError, match=r"0004-1/predictions-val\.csv: holds no predictions of this label space"):
        verdict(made)
    predictions.unlink()
    with pytest.raises(UserError, match=r"0004-1/predictions-val\.csv: no such file"):
        verdict(made)
    made.runs[0].folder.report().unlink()
    with pytest.raises(UserError, match=r"0000-0/report\.json: no such file"):
        verdict(made)


def test_real_runs_can_be_judged(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan({"training.lr": {"low": 1e-4, "high": 1e-2}}, {"training.epochs": 1})
    chosen = [Candidate(0, 0.1, {}, is_base=True), Candidate(3, 0.2, {"training.lr": 5e-3})]
    made = Confirmation(plan, StudyFolder(tmp_path / "study"), chosen, 2)
    reports = [run(each.config, each.folder.path).report for each in made.runs]
    assert all(each.is_done() for each in made.runs)
    found = verdict(made)
    scores = [report.joint.macro_f1 for report in reports if report is not None]
    assert [list(row.runs) for row in found.rows] == [scores[0::2], scores[1::2]]
    assert found.winner == 3
    assert found.num_images == sum(report.num_images for report in reports[0::2] if report is not None)
