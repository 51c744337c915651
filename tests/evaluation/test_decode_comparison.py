from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from multitask.errors import UserError
from multitask.evaluation.decode import (
    DECODE_RULES,
    FITTED_RULES,
    DecodeRule,
    DecodeSettings,
    LabelledOutputs,
    ModelOutputs,
    Priors,
)
from multitask.evaluation.decode.base import macro_f1
from multitask.evaluation.decode.crossfit import cross_fit, deal
from multitask.evaluation.decode.expected import posteriors
from multitask.evaluation.decode.fitted_rules import FittedRules
from multitask.evaluation.decode.temperature import fit_temperatures
from multitask.evaluation.decode_comparison import decide, decide_and_fit, joint_term
from multitask.evaluation.decode_scores import DecodeComparison, RuleScores
from multitask.evaluation.metrics import IntArray
from multitask.evaluation.predictions import Predictions
from multitask.labels import JOINT, LabelSpace, Task
from multitask.settings.extensions import temporary_extensions

SPACE = LabelSpace([Task("size", ("s", "m", "l")), Task("colour", ("red", "blue"))])


def make(rows: int = 140, seed: int = 0, *, num_groups: int = 35, flat: bool = False, term: float = 0.0) -> Predictions:
    """Answers with something of the truth; with ``term``, a joint term that adds so much of it."""
    rng = np.random.default_rng(seed)
    shares = 0.6 ** np.arange(6)
    labels = SPACE.decode(rng.choice(6, rows, p=shares / shares.sum()))
    log_probs = {
        task.name: torch.from_numpy(
            rng.normal(size=(rows, task.num_classes)) + 1.5 * np.eye(task.num_classes)[column]
        ).log_softmax(1)
        for task, column in zip(SPACE.tasks, labels.T, strict=True)
    }
    joint = SPACE.joint_log_probs(log_probs)
    learned = SPACE.flattened() if flat else SPACE
    table = None
    if term:
        table = (joint + term * torch.eye(6)[torch.from_numpy(SPACE.encode(labels))]).log_softmax(1)
    names = np.array([f"{row}.jpg" for row in range(rows)], dtype=object)
    groups = np.array([f"p{row % num_groups}" for row in range(rows)], dtype=object)
    heads = {"class": joint} if flat else log_probs
    return Predictions(SPACE, learned, names, groups, labels, heads, joint.argmax(1).numpy(), table)


def rule(name: str) -> DecodeSettings:
    found: Any = DECODE_RULES[name]()
    assert isinstance(found, DecodeSettings)
    return found


def rows_of(comparison: DecodeComparison) -> dict[str, RuleScores]:
    return {row.name: row for row in comparison.rules}


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("name", DECODE_RULES)
def test_answers_are_cross_fitted_and_what_is_kept_is_fitted_on_all(name: str, flat: bool) -> None:
    predictions = make(flat=flat)
    known = predictions.known()
    found = decide_and_fit(predictions, rule(name), None, 3, 0)
    expected = cross_fit(rule(name), known, None, deal(known, 3), 3)
    assert found.predicted.tolist() == expected.tolist()
    assert found.kept.rule() == rule(name).fit(known, None, 3)
    rows = rows_of(found.comparison)
    assert rows[name].macro_f1 == pytest.approx(macro_f1(predictions.classes, expected, SPACE.possible))
    assert found.comparison.used == name
    assert found.comparison.picked in rows
    assert found.comparison.sentence
    assert (f"used is {name}" in found.comparison.sentence) == (name not in ("auto", found.comparison.picked))
    assert ("auto" in rows) == (name == "auto")
    assert set(found.comparison.temperatures) == set(predictions.learned.task_names)


def test_differences_are_to_independent_and_paired() -> None:
    rows = rows_of(decide_and_fit(make(), rule("class_bias"), None, 0, 0).comparison)
    assert rows["independent"].difference is None
    assert (rows["joint"].difference, rows["joint"].difference_ci) == (0.0, (0.0, 0.0))
    for row in rows.values():
        assert row.macro_f1_ci[0] <= row.macro_f1 <= row.macro_f1_ci[1]
        if row.difference is not None:
            assert row.difference == pytest.approx(row.macro_f1 - rows["independent"].macro_f1)
            assert row.difference_ci[0] <= row.difference <= row.difference_ci[1]
    assert rows["independent"].in_sample is None
    assert rows["class_bias"].in_sample > rows["class_bias"].macro_f1


@pytest.mark.parametrize(("num_groups", "note"), [(1, "one has"), (0, "no group has")])
def test_with_too_few_groups_nothing_is_fitted_and_that_is_said(num_groups: int, note: str) -> None:
    predictions = make(num_groups=max(num_groups, 1))
    if not num_groups:
        predictions = replace(predictions, labels=np.full_like(predictions.labels, -1))
    for name in ("class_bias", "auto", "independent"):
        found = decide_and_fit(predictions, rule(name), None, 0, 0)
        assert note in found.comparison.note
        assert (found.comparison.picked, found.comparison.num_folds, found.comparison.cross_fitted) == (None, 0, False)
        assert set(rows_of(found.comparison)) == {"independent", "joint"}
        assert found.kept.used == ("independent" if name == "independent" else "joint")
        assert found.predicted.tolist() == predictions.predicted.tolist()


def test_heads_are_calibrated_on_other_groups_where_no_image_has_all_labels() -> None:
    whole = make()
    labels = whole.labels.copy()
    ones = whole.group_indices() % 2 == 0
    labels[ones, 0] = -1
    labels[~ones, 1] = -1
    found = decide_and_fit(replace(whole, labels=labels), rule("class_bias"), None, 0, 0)
    assert "no group has" in found.comparison.note
    assert found.kept.used == "joint"
    assert (found.comparison.cross_fitted, found.comparison.num_folds) == (True, 5)
    assert found.folds is not None
    assert found.kept.calibration is not None
    groups = [found.kept.calibration.num_groups(name) for name in (*whole.space.task_names, JOINT)]
    assert groups == [len({*whole.groups[~ones]}), len({*whole.groups[ones]}), 0]
    known = replace(whole, labels=labels).known()
    for fold in np.unique(found.folds):  # by the temperatures that the others give
        inside = np.flatnonzero(found.folds == fold)
        others = fit_temperatures(known.take(np.flatnonzero(found.folds != fold)), None)
        np.testing.assert_allclose(found.class_probs[inside], posteriors(known.outputs.take(inside), others, {}).T)


class FirstRule(DecodeRule):
    name: Literal["first"] = "first"

    def decode(self, outputs: ModelOutputs) -> IntArray:
        return np.zeros(len(outputs), dtype=np.int64)


class FirstSettings(DecodeSettings):
    name: Literal["first"] = "first"

    def num_parameters(self, space: LabelSpace) -> int:
        return 0

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        return FirstRule()

    def unfitted(self) -> DecodeRule:
        return FirstRule()


def test_a_rule_of_ones_own_is_a_row_and_is_used_where_nothing_could_be_fitted() -> None:
    with temporary_extensions():
        DECODE_RULES["first"], FITTED_RULES["first"] = FirstSettings, FirstRule
        rows = rows_of(decide_and_fit(make(), rule("independent"), None, 0, 0).comparison)
        assert rows["first"].macro_f1 < rows["independent"].macro_f1
        alone = decide_and_fit(make(num_groups=1), rule("first"), None, 0, 0)
        assert alone.kept.used == "first"
        assert set(alone.predicted) == {0}
        assert set(rows_of(alone.comparison)) == {"independent", "joint", "first"}


def test_kept_rules_answer_others_as_they_were_fitted(tmp_path: Path) -> None:
    fitted = decide_and_fit(make(), rule("auto"), None, 0, 0).kept
    path = tmp_path / "decode.json"
    path.write_text(fitted.to_json())
    kept = FittedRules.read(path, SPACE)
    assert kept == fitted
    fresh = make(seed=1)
    found = decide(fresh, kept, 0)
    assert found.predicted.tolist() == fitted.rule().decode(fresh.outputs()).tolist()
    assert found.comparison.cross_fitted is False
    assert {*rows_of(found.comparison)} == {*kept.rules}
    assert all(row.in_sample is None for row in found.comparison.rules)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda data: "{", "is damaged"),
        (lambda data: [], "must hold keys and values"),
        (lambda data: {**data, "used": "other"}, "there is no rule 'other'"),
        (lambda data: {**data, "extra": 1}, "unknown key"),
        (lambda data: {key: value for key, value in data.items() if key != "rules"}, "rules"),
        (
            lambda data: {**data, "rules": {**data["rules"], "class_bias": {"name": "clas_bias"}}},
            "unknown name 'clas_bias'; did you mean 'class_bias'",
        ),
        (
            lambda data: {
                **data,
                "rules": {"class_bias": {**data["rules"]["class_bias"], "biases": [0.0]}},
                "used": "class_bias",
            },
            "rules.class_bias.biases: must be 6 numbers, found 1",
        ),
        (lambda data: {**data, "shifts": {"joint": [0.0]}}, "shifts.joint: must be 6 numbers, found 1"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(change: Callable[[Any], Any], match: str, tmp_path: Path) -> None:
    path = tmp_path / "decode.json"
    changed = change(json.loads(decide_and_fit(make(), rule("class_bias"), None, 0, 0).kept.to_json()))
    path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(UserError, match=match) as caught:
        FittedRules.read(path, SPACE)
    assert str(caught.value).startswith(f"{path}: is damaged: ")
    assert "\n" not in str(caught.value)


def test_rules_of_another_label_space_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "decode.json"
    path.write_text(decide_and_fit(make(), rule("class_bias"), None, 0, 0).kept.to_json())
    with pytest.raises(UserError, match="temperatures: must be of class, found"):
        FittedRules.read(path, SPACE.flattened())


def test_the_priors_of_outputs_and_of_training_images_are_kept_with_the_rules() -> None:
    size, colour = SPACE.task_names
    even = {size: np.log([1 / 3] * 3), colour: np.log([0.5, 0.5]), "joint": np.log([1 / 6] * 6)}
    natural = {**even, colour: np.log([0.8, 0.2])}
    kept = decide_and_fit(make(), rule("joint"), Priors(even, natural), 0, 0).kept
    assert kept.shifts == {colour: pytest.approx(np.log([1.6, 0.4]))}
    assert decide_and_fit(make(), rule("joint"), None, 0, 0).kept.shifts == {}


def test_a_joint_term_is_judged_against_the_heads_alone() -> None:
    assert joint_term(make(), 0) is None
    helps, harms, idle = (joint_term(make(term=term), 0) for term in (3.0, -3.0, 1e-6))
    assert helps is not None
    assert harms is not None
    assert idle is not None
    assert helps.sentence.startswith("The joint term is needed: ")
    assert harms.sentence.startswith("The joint term does harm: ")
    assert idle.sentence.startswith("The joint term is not shown to be needed: ")
    assert helps.difference == pytest.approx(helps.with_term - helps.heads_only)
    assert helps.difference_ci[0] > 0 > harms.difference_ci[1]
    assert helps.heads_only == harms.heads_only == idle.with_term


def test_with_a_joint_term_the_rules_use_it() -> None:
    rows = rows_of(decide_and_fit(make(term=3.0), rule("independent"), None, 0, 0).comparison)
    assert all(rows[name].macro_f1 > rows["independent"].macro_f1 + 0.1 for name in rows if name != "independent")
