from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from multitask.errors import UserError
from multitask.evaluation.calibration import Calibration, marginals
from multitask.evaluation.conformity import APS
from multitask.inference.prediction import PredictionBatch
from multitask.inference.predictor import Predictor
from multitask.inference.promises import Promises
from multitask.inference.spec import InferenceSpec
from multitask.labels import JOINT, LabelSpace, Task
from multitask.runs.folder import RunFolder

SPACE = LabelSpace([Task("size", ("s", "m", "l")), Task("colour", ("red", "blue"))], [{"size": "l", "colour": "blue"}])


@pytest.fixture(scope="module")
def images(trained_path: Path) -> list[Path]:
    return sorted((trained_path.parent / "set").rglob("*.jpg"))[:5]


def calibration_of(num: int) -> Calibration:
    """Of ``num`` groups of an image each, as sure as right."""
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.full(5, 0.2), num)
    classes = (rng.random(num)[:, None] > probs.cumsum(axis=1)).sum(axis=1).clip(0, 4)
    probs = np.concatenate([probs, np.zeros((num, 1))], axis=1)
    return Calibration.of(SPACE, probs, SPACE.decode(classes), probs.argmax(axis=1), np.arange(num))


def test_one_image_and_many_have_sets_and_are_asked(predictor: Predictor, images: list[Path]) -> None:
    found = predictor.predict(images, coverage=0.7, max_risk=0.5)
    one = predictor.predict(images[0], coverage=0.7, max_risk=0.5)
    assert one.sets == found[0].sets
    assert one.sets is not None
    assert list(one.sets) == ["mask", "gender", "age", "class"]
    assert one.sets["class"][0] in one.class_probs
    assert one.ask is True  # so few groups prove nothing
    columns = found.columns()
    assert columns["set(mask)"][0] == " | ".join(one.sets["mask"])
    assert columns["ask"] == ["yes"] * 5
    table = found.to_pandas(probabilities=True)
    assert list(table.columns)[9:14] == ["set(mask)", "set(gender)", "set(age)", "set(class)", "ask"]
    pd.testing.assert_frame_equal(found[0].to_pandas(probabilities=True), table[:1])
    pd.testing.assert_frame_equal(predictor.predict(images)[1:2].to_pandas(), predictor.predict(images)[1].to_pandas())
    assert found[1:3][0].sets == found[1].sets
    assert len(found[1:3].ask) == 2
    joined = PredictionBatch.concatenate([found[:2], found[2:]], predictor.space)
    assert joined.columns()["set(class)"] == columns["set(class)"]


def test_what_was_not_asked_for_is_not_there(predictor: Predictor, images: list[Path]) -> None:
    found = predictor.predict(images)
    assert (found.sets, found.ask, found[0].sets, found[0].ask) == (None, None, None, None)
    assert not [name for name in found.columns() if name.startswith("set") or name == "ask"]
    assert predictor.predict([], coverage=0.7).columns()["image"] == ()


def test_sets_hold_what_is_as_probable_as_the_thresholds_the_most_probable_first() -> None:
    promises = Promises.of(SPACE, calibration_of(400), coverage=0.9)
    rng = np.random.default_rng(2)
    probs = np.concatenate([rng.dirichlet(np.full(5, 0.3), 50), np.zeros((50, 1))], axis=1)
    batch = PredictionBatch(SPACE, tuple(map(str, range(50))), probs.argmax(axis=1), probs).with_promises(promises)
    for found in batch:
        assert found.sets is not None
        values = promises.thresholds["colour"].values
        expected = {
            name for name, value in zip(("red", "blue"), values, strict=True) if found.probs["colour"][name] >= value
        }
        assert set(found.sets["colour"]) == expected | {found.labels["colour"]}
        assert found.class_name in found.sets["class"]
        order = [found.class_probs[name] for name in found.sets["class"]]
        assert order == sorted(order, reverse=True)
        assert "l/blue" not in found.sets["class"]
        assert found.ask is None
    assert len({len(found.sets["class"]) for found in batch if found.sets}) > 2


def test_what_a_decode_rule_predicts_is_in_the_sets_however_improbable() -> None:
    promises = Promises.of(SPACE, calibration_of(400), coverage=0.8)
    probs = np.tile([0.96, 0.01, 0.01, 0.01, 0.01, 0.0], (3, 1))
    batch = PredictionBatch(SPACE, ("0", "1", "2"), np.array([0, 1, 4]), probs).with_promises(promises)
    for found, others in zip(batch, (0, 1, 1), strict=True):
        assert found.sets is not None
        assert found.class_name in found.sets["class"]
        assert all(label in found.sets[task] for task, label in found.labels.items())
        assert len(found.sets["class"]) == 1 + others


def test_adaptive_sets_are_as_the_thresholds_say() -> None:
    promises = Promises.of(SPACE, calibration_of(400), coverage=0.9, sets="aps")
    probs = np.concatenate([np.random.default_rng(2).dirichlet(np.full(5, 0.3), 50), np.zeros((50, 1))], axis=1)
    sets = promises.sets({JOINT: probs, **marginals(probs, SPACE)})
    assert sets is not None
    np.testing.assert_array_equal(sets[JOINT], APS.of_images(probs) >= promises.thresholds[JOINT].values)
    plain = Promises.of(SPACE, calibration_of(400), coverage=0.9).sets({JOINT: probs, **marginals(probs, SPACE)})
    assert plain is not None
    assert (sets["size"] != plain["size"]).any()


def test_randomised_sets_do_not_depend_on_the_batches_and_are_drawn_anew_by_another_call() -> None:
    probs = np.concatenate([np.random.default_rng(2).dirichlet(np.full(5, 1.0), 200), np.zeros((200, 1))], axis=1)

    def sets(seed: int, *ends: int) -> np.ndarray:
        promises = Promises.of(SPACE, calibration_of(400), coverage=0.8, sets="aps-randomised", seed=seed)
        found = []
        for part in np.split(probs, ends):
            each = promises.sets({JOINT: part, **marginals(part, SPACE)})
            assert each is not None
            found.append(each[JOINT])
        return np.concatenate(found)

    np.testing.assert_array_equal(sets(0), sets(0, 1, 77))
    assert (sets(0) != sets(1)).any()


def test_a_predictor_draws_anew_for_each_call(predictor: Predictor) -> None:
    seeds = [predictor.promises(coverage=0.7, sets="aps-randomised").seed for _ in range(3)]
    assert len({*seeds}) == 3


def test_sets_of_another_kind_are_refused_where_they_cannot_be(predictor: Predictor) -> None:
    with pytest.raises(UserError, match="sets: unknown 'apps'; did you mean 'aps'"):
        predictor.predict("no-such-file.jpg", coverage=0.7, sets="apps")
    with pytest.raises(UserError, match="sets aps: would be ignored without a coverage"):
        predictor.predict("no-such-file.jpg", sets="aps")
    older = calibration_of(400).model_copy(update={"below": None})
    with pytest.raises(UserError, match="sets aps: the run is of an older version"):
        Promises.of(SPACE, older, coverage=0.8, sets="aps")


def test_the_confident_are_answered_where_the_groups_prove_the_risk() -> None:
    promises = Promises.of(SPACE, calibration_of(2000), max_risk=0.1)
    assert promises.least_confidence is not None
    assert 0.3 < promises.least_confidence < 0.9
    assert (promises.notes, promises.thresholds) == ((), {})
    asked = promises.ask(np.array([0.2, promises.least_confidence, 0.99]))
    assert asked is not None
    assert asked.tolist() == [True, False, False]


def test_a_risk_that_nothing_proves_is_a_note() -> None:
    promises = Promises.of(SPACE, calibration_of(20), max_risk=0.01)
    (note,) = promises.notes
    assert note.startswith("max risk 0.01: no confidence is proven to keep it by the groups that validated")
    asked = promises.ask(np.array([1.0]))
    assert asked is not None
    assert asked.all()


def test_tasks_have_sets_where_no_image_has_all_labels(predictor: Predictor, images: list[Path]) -> None:
    space, rng = predictor.space, np.random.default_rng(0)
    labels = space.decode(rng.integers(0, space.num_classes, 40))
    labels[:20, 0] = -1
    labels[20:, 1:] = -1
    probs = rng.dirichlet(np.ones(space.num_classes), 40)
    calibration = Calibration.of(space, probs, labels, probs.argmax(axis=1), np.arange(40))
    promises = Promises.of(space, calibration, coverage=0.9)
    assert set(promises.thresholds) == {"mask", "gender", "age"}
    assert promises.notes == (
        "coverage 0.9: needs 9 groups that validate and whose class is known, and the run has 0; no sets of it",
    )
    found = predictor.predict(images).with_promises(promises)
    assert found[0].sets is not None
    assert [*found[0].sets] == ["mask", "gender", "age"]
    assert [name for name in found.columns() if name.startswith("set(")] == ["set(mask)", "set(gender)", "set(age)"]
    both = found[:3].where(np.array([True, False, True]), found[:3])
    assert both.columns()["set(age)"] == found[:3].columns()["set(age)"]


def test_what_cannot_be_promised_is_refused_before_any_image_is_read(predictor: Predictor) -> None:
    with pytest.raises(UserError, match=r"coverage 0.9: needs 9 groups that validate and whose mask is known, and the"):
        predictor.predict("no-such-file.jpg", coverage=0.9)
    with pytest.raises(UserError, match="coverage: must be above 0 and below 1, found 90"):
        predictor.promises(coverage=90)
    with pytest.raises(UserError, match="the run keeps no calibration"):
        Promises.of(SPACE, None, max_risk=0.1)


def test_the_specification_carries_it_and_refuses_a_damaged_one(predictor: Predictor, trained_path: Path) -> None:
    good = predictor.spec
    again = InferenceSpec.from_json(good.to_json(), "here")
    assert again.calibration == good.calibration
    assert again.calibration is not None
    assert again.calibration.num_groups("joint") == RunFolder(trained_path).read_report().num_groups
    other = good.model_copy(update={"calibration": calibration_of(20)})
    with pytest.raises(UserError, match="here: labels: must be of age, gender, mask too"):
        InferenceSpec.from_json(other.to_json(), "here")
