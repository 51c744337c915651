from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multitask.errors import UserError
from multitask.evaluation import calibration as module
from multitask.evaluation.calibration import Calibration, check_coverage, check_risk, labellings, sizes_of
from multitask.evaluation.conformal import label_thresholds
from multitask.evaluation.conformity import APS, LAC
from multitask.evaluation.decode.fitted_rules import FittedRules
from multitask.evaluation.decode_comparison import decide, decide_and_fit
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import JOINT, LabelSpace, Task
from multitask.settings import validate
from tests.evaluation.test_decode_comparison import SPACE as RULES_SPACE
from tests.evaluation.test_decode_comparison import make as make_predictions
from tests.evaluation.test_decode_comparison import rule

SPACE = LabelSpace([Task("size", ("s", "m", "l")), Task("colour", ("red", "blue"))], [{"size": "l", "colour": "blue"}])


def made(num: int = 60, images: int = 2) -> tuple[FloatArray, IntArray, IntArray]:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(num), images)
    classes = rng.integers(0, 5, num)[groups]
    probs = rng.dirichlet(np.ones(6), len(groups))
    probs[np.arange(len(groups)), classes] += 1
    probs[:, 5] = 0
    probs /= probs.sum(axis=1, keepdims=True)
    labels = SPACE.decode(classes)
    labels[:6, 0] = -1
    return probs, labels, groups


def kept(**how: Any) -> Calibration:
    probs, labels, groups = made(**how)
    return Calibration.of(SPACE, probs, labels, probs.argmax(axis=1), groups)


def test_thresholds_are_those_of_the_images_and_are_read_as_they_were_written() -> None:
    probs, labels, groups = made()
    found = kept()
    again = validate(Calibration, json.loads(json.dumps(found.model_dump(mode="json"))))
    assert again == found
    again.check(sizes_of(SPACE))
    for name, part in labellings(probs, labels, SPACE).items():
        known = part.labels >= 0
        right = part.probs[np.flatnonzero(known), part.labels[known]]
        expected = label_thresholds(right, part.labels[known], groups[known], part.possible, 0.8)
        thresholds = again.thresholds(name, part.possible, 0.8)
        assert expected is not None
        assert thresholds is not None
        assert (thresholds.values <= expected.values).all()  # rounded down: a set can only gain
        np.testing.assert_allclose(thresholds.values, expected.values, rtol=2e-5)
        assert thresholds.own.tolist() == expected.own.tolist()
    assert [again.num_groups(name) for name in ("size", "colour", JOINT)] == [57, 60, 57]


def test_adaptive_thresholds_are_those_of_the_images_and_of_older_files_there_are_none() -> None:
    probs, labels, groups = made()
    again = validate(Calibration, json.loads(json.dumps(kept().model_dump(mode="json"))))
    for name, part in labellings(probs, labels, SPACE).items():
        known = np.flatnonzero(part.labels >= 0)
        right = APS.of_images(part.probs)[known, part.labels[known]]
        expected = label_thresholds(right, part.labels[known], groups[known], part.possible, 0.8)
        thresholds = again.thresholds(name, part.possible, 0.8, APS)
        assert expected is not None
        assert thresholds is not None
        assert (thresholds.values <= expected.values).all()
        np.testing.assert_allclose(thresholds.values, expected.values, rtol=2e-5)
    data = kept().model_dump(mode="json")
    del data["below"]
    older = validate(Calibration, data)
    assert older.model_dump(mode="json") == data
    assert (older.serves(LAC), older.serves(APS), again.serves(APS)) == (True, False, True)


def test_a_file_holds_a_line_for_each_column() -> None:
    data = kept().model_dump(mode="json")
    assert re.fullmatch(r"0\.\d{1,9}( 0(\.\d{1,9})?| 1)*", data["confidences"])
    assert all(isinstance(text, str) for text in [*data["labels"].values(), *data["probs"].values()])


def test_of_very_many_images_whole_groups_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_IMAGES", 51)
    found = kept()
    assert len(found.groups) == 50
    assert found.num_groups("colour") == 25
    assert set(np.bincount(found.groups)) == {2}


@pytest.mark.parametrize(
    ("coverage", "line"),
    [
        (0.0, "coverage: must be above 0 and below 1, found 0"),
        (1.0, "coverage: must be above 0 and below 1, found 1"),
        (float("nan"), "coverage: must be above 0 and below 1, found nan"),
        (
            0.99,
            "coverage 0.99: needs 99 groups that validate and whose colour is known, and the run has 60; at most 0.984 "
            "can be promised",
        ),
    ],
)
def test_a_coverage_that_cannot_be_promised_is_refused(coverage: float, line: str) -> None:
    with pytest.raises(UserError) as caught:
        check_coverage(coverage, kept())
    assert str(caught.value) == line


def test_what_enough_groups_calibrate_is_promised_and_of_the_rest_it_is_said_why_not() -> None:
    assert check_coverage(0.98, kept()) == {}
    probs, labels, groups = made()
    labels[groups % 2 == 0, 0] = -1
    labels[groups % 2 == 1, 1] = -1
    found = Calibration.of(SPACE, probs, labels, probs.argmax(axis=1), groups)
    assert check_coverage(0.9, found) == {
        JOINT: "needs 9 groups that validate and whose class is known, and the run has 0"
    }
    with pytest.raises(UserError, match=r"max risk: needs groups .* and the run has 0; a coverage gives each task's"):
        check_risk(0.1, found)


def test_a_run_without_calibration_promises_nothing() -> None:
    with pytest.raises(UserError, match="coverage: the run keeps no calibration: two groups at least"):
        check_coverage(0.9, None)
    with pytest.raises(UserError, match="max risk: the run keeps no calibration"):
        check_risk(0.1, None)
    with pytest.raises(UserError, match="max risk: must be above 0 and below 1, found 1"):
        check_risk(1, kept())


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda data: data["probs"].pop("joint"), "calibration.probs: must be of joint too"),
        (lambda data: data["below"].pop("joint"), "calibration.below: must be of joint too"),
        (lambda data: data["labels"].update(size="0 1"), "calibration.labels.size: must be 140 numbers, found 2"),
        (lambda data: data.update(right=data["right"].replace("1", "2")), "calibration.right: must be within 0 and 1"),
        (lambda data: data["labels"].update(joint=" ".join(["6"] * 140)), "labels.joint: must be within -1 and 5"),
        (lambda data: data.update(confidences=data["confidences"] + "x"), "calibration.confidences: "),
        (lambda data: data["probs"].update(size=" ".join(["nan"] * 140)), "probs.size: must be within 0 and 1"),
        (lambda data: data.update(groups=5), "calibration.groups: "),
        (lambda data: data.update(more=5), "calibration.more: unknown key"),
    ],
)
def test_a_damaged_file_is_refused_in_a_line(change: Callable[[Any], object], line: str, tmp_path: Path) -> None:
    data = json.loads(decide_and_fit(make_predictions(), rule("independent"), None, 0, 0).kept.to_json())
    change(data["calibration"])
    path = tmp_path / "decode.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match=re.escape(line)) as caught:
        FittedRules.read(path, RULES_SPACE)
    assert str(caught.value).startswith(f"{path}: is damaged: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("flat", [False, True])
def test_what_a_run_keeps_is_of_cross_fitted_answers(flat: bool, tmp_path: Path) -> None:
    predictions = make_predictions(flat=flat)
    found = decide_and_fit(predictions, rule("head_bias"), None, 3, 0)
    assert found.folds is not None
    expected = Calibration.of(
        RULES_SPACE, found.class_probs, predictions.labels, found.predicted, predictions.group_indices()
    )
    assert found.kept.calibration == expected
    own = decide(predictions, found.kept, 0).class_probs
    np.testing.assert_allclose(own.sum(axis=1), 1)
    assert 0 < np.abs(own - found.class_probs).max() < 0.1  # the temperatures of a fold are of the others
    path = tmp_path / "decode.json"
    path.write_text(found.kept.to_json())
    assert FittedRules.read(path, predictions.learned).calibration == expected
    data = json.loads(path.read_text())
    del data["calibration"]  # as before it was kept
    path.write_text(json.dumps(data))
    assert FittedRules.read(path, predictions.learned).calibration is None


def test_one_group_calibrates_nothing() -> None:
    found = decide_and_fit(make_predictions(num_groups=1), rule("independent"), None, 0, 0)
    assert found.folds is None
    assert found.kept.calibration is None
