"""Answers to groups: pooled over all images of a job, however they are batched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multitask.errors import UserError
from multitask.evaluation.decode import ModelOutputs
from multitask.evaluation.decode.fitted_rules import GroupedRules
from multitask.evaluation.decode.group_tasks import GroupTasks
from multitask.evaluation.decode.pooling import pool
from multitask.evaluation.grouped import decide_grouped
from multitask.evaluation.predictions import Predictions
from multitask.inference import kept_outputs
from multitask.inference.grouped import answer_groups
from multitask.inference.kept_outputs import AnsweredBatch
from multitask.inference.prediction import PredictionBatch
from multitask.inference.predictor import Predictor
from multitask.inference.promises import Promises
from multitask.inference.run_spec import run_spec
from multitask.inference.spec import InferenceSpec
from multitask.inference.stream import ImageInput, InputBatch
from multitask.runs.config import read_run
from multitask.testing import tiny_run


def batches(
    predictions: Predictions, groups: list[str | None], size: int, unreadable: tuple[int, ...] = ()
) -> Iterator[tuple[InputBatch, ModelOutputs | None]]:
    outputs, row = predictions.outputs(), 0
    images = list(zip(predictions.images, groups, strict=True))
    for start in range(0, len(images), size):
        inputs = tuple(
            ImageInput(str(name), Path(str(name)), group=group) for name, group in images[start : start + size]
        )
        errors = {place: UserError("broken") for place in range(len(inputs)) if start + place in unreadable}
        rows = [start + place for place in range(len(inputs)) if place not in errors]
        row += len(inputs)
        pixels = np.zeros((len(rows), 1, 1, 3), dtype=np.uint8)
        yield InputBatch(inputs, pixels, errors), outputs.take(np.array(rows)) if rows else None


def joined(answers: Iterator[AnsweredBatch], spec: InferenceSpec) -> PredictionBatch:
    return PredictionBatch.concatenate([batch.predictions for batch in answers], spec.space)


def expected(spec: InferenceSpec, predictions: Predictions, numbers: list[int]) -> PredictionBatch:
    assert spec.grouping is not None
    tasks = GroupTasks(spec.space, spec.grouping.tasks)
    outputs = pool(spec.grouping.pooling, predictions.outputs(), tasks, np.array(numbers))
    return PredictionBatch.of(spec.for_groups(), outputs, [str(name) for name in predictions.images])


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("chunk", [1, 8, 1000])
def test_images_are_pooled_over_all_batches(
    predictor: Predictor, validated: Predictions, size: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_outputs, "_CHUNK", chunk)
    names = list(map(str, validated.groups))
    order = np.random.default_rng(0).permutation(len(names))  # groups lie apart
    shuffled, names = validated.take(order), [names[row] for row in order]
    found = joined(answer_groups(predictor.spec, batches(shuffled, [*names], size)), predictor.spec)
    right = expected(predictor.spec, shuffled, [int(number) for number in shuffled.group_indices()])
    np.testing.assert_allclose(found.class_probs, right.class_probs, atol=1e-5)
    np.testing.assert_array_equal(found.predicted, right.predicted)
    assert found.images == right.images
    for name in set(names):
        probs = found.probs["gender"][[name == other for other in names]]
        np.testing.assert_allclose(probs, np.broadcast_to(probs[0], probs.shape), atol=1e-5)


def test_they_are_the_answers_that_the_run_is_scored_by(predictor: Predictor, validated: Predictions) -> None:
    grouping = predictor.spec.grouping
    assert grouping is not None
    used = {"used": "it", "rules": {"it": grouping.rule}, "sentence": ""}
    keys = ("tasks", "pooling", "temperatures", "shifts", "calibration")
    fitted = {name: getattr(grouping, name) for name in keys}
    kept = GroupedRules(**used, **fitted)
    right = decide_grouped(validated, kept).predictions.predicted
    found = joined(answer_groups(predictor.spec, batches(validated, [*map(str, validated.groups)], 7)), predictor.spec)
    np.testing.assert_array_equal(found.predicted, right)


def test_images_without_a_group_are_answered_as_ever(predictor: Predictor, validated: Predictions) -> None:
    groups: list[str | None] = [None if row % 2 else "a" for row in range(len(validated))]
    found = joined(answer_groups(predictor.spec, batches(validated, groups, 4)), predictor.spec)
    alone = PredictionBatch.of(predictor.spec, validated.outputs(), found.images)
    together = expected(predictor.spec, validated, [-row if row % 2 else 1 for row in range(len(validated))])
    np.testing.assert_allclose(found.class_probs[1::2], alone.class_probs[1::2], atol=1e-5)
    np.testing.assert_allclose(found.class_probs[::2], together.class_probs[::2], atol=1e-5)
    np.testing.assert_array_equal(found.predicted[1::2], alone.predicted[1::2])


def test_images_that_cannot_be_read_stay_in_their_place(predictor: Predictor, validated: Predictions) -> None:
    num = len(validated)
    whole = [*answer_groups(predictor.spec, batches(validated, ["a"] * num, 4, unreadable=(0, 5, 8, 9, 10, 11)))]
    assert [sorted(batch.errors) for batch in whole[:3]] == [[0], [1], [0, 1, 2, 3]]
    assert [len(batch.predictions) for batch in whole[:3]] == [3, 3, 0]
    assert [item.name for batch in whole for item in batch.inputs] == list(map(str, validated.images))
    assert str(whole[0].errors[0]) == "broken"
    rest = np.setdiff1d(np.arange(num), (0, 5, 8, 9, 10, 11))
    right = expected(predictor.spec, validated.take(rest), [0] * len(rest))
    np.testing.assert_allclose(joined(iter(whole), predictor.spec).class_probs, right.class_probs, atol=1e-5)


def test_nothing_to_answer_and_nothing_to_read(predictor: Predictor, validated: Predictions) -> None:
    assert [*answer_groups(predictor.spec, [])] == []
    (batch,) = answer_groups(predictor.spec, batches(validated.take(np.arange(2)), ["a", "a"], 2, unreadable=(0, 1)))
    assert (len(batch.predictions), len(batch.errors)) == (0, 2)


def test_the_predictor_takes_groups_beside_images(predictor: Predictor, trained_path: Path) -> None:
    paths = sorted((trained_path.parent / "set").rglob("*.jpg"))[:6]
    single = predictor.predict(paths)
    found = predictor.predict(paths, batch_size=2, groups=["a", "b", "a", "b", None, float("nan")])
    for task in ("gender", "age"):
        np.testing.assert_allclose(found.probs[task][0], found.probs[task][2], atol=1e-5)
        np.testing.assert_allclose(found.probs[task][4:], single.probs[task][4:], atol=1e-5)
    assert np.abs(found.probs["mask"][0] - found.probs["mask"][2]).max() > 1e-4
    arrays = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    in_memory = predictor.predict(arrays, groups=[7, 8, 7, 8, None, None])
    np.testing.assert_allclose(in_memory.probs["age"][1], in_memory.probs["age"][3], atol=1e-5)
    assert in_memory.images == tuple("012345")


def test_sets_and_whether_to_ask_are_those_of_the_groups_answers(predictor: Predictor, validated: Predictions) -> None:
    spec, groups = predictor.spec, [None if row % 2 else "a" for row in range(len(validated))]
    for_groups = spec.for_groups()
    promises = [Promises.of(spec.space, one.calibration, 0.5, 0.5) for one in (spec, for_groups)]
    found = joined(answer_groups(spec, batches(validated, groups, 4), *promises), spec)
    alone, together = (
        [batch.predictions for batch in answer_groups(spec, batches(validated, group, 4), *promises)]
        for group in ([None] * len(validated), [group or str(row) for row, group in enumerate(groups)])
    )
    alone, together = (PredictionBatch.concatenate(parts, spec.space) for parts in (alone, together))
    assert all(one.sets is not None and one.ask is not None for one in (found, alone, together))
    for name, rows in found.sets.items():
        np.testing.assert_array_equal(rows[::2], together.sets[name][::2])
        np.testing.assert_array_equal(rows[1::2], alone.sets[name][1::2])
    np.testing.assert_array_equal(found.ask[::2], together.ask[::2])
    np.testing.assert_array_equal(found.ask[1::2], alone.ask[1::2])


@pytest.mark.parametrize(("groups", "which"), [(["a"], "fewer"), (["a", "b", "c"], "more")])
def test_there_is_a_group_for_each_image(
    predictor: Predictor, trained_path: Path, groups: list[str], which: str
) -> None:
    path = next((trained_path.parent / "set").rglob("*.jpg"))
    with pytest.raises(UserError, match=f"^groups: must be one for each image, found {which}$"):
        predictor.predict([path, path], groups=groups)
    with pytest.raises(UserError, match=r"^groups: are of several images"):
        predictor.predict(path, groups=groups)  # type: ignore[call-overload]


def test_an_image_that_cannot_be_read_is_told(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(UserError, match=r"a\.jpg: "):
        predictor.predict([tmp_path / "a.jpg"], groups=["a"])


def test_a_run_that_nobody_validated_pools_by_the_mean(tmp_path: Path) -> None:
    path = tiny_run(tmp_path, {"data.val_fraction": 0.0, "labels.tasks.age.per_group": False})
    spec = run_spec(read_run(path))
    assert spec.grouping is not None
    assert (spec.grouping.tasks, spec.grouping.pooling.name) == (("gender",), "mean")


def test_groups_are_refused_where_no_task_is_per_group(predictor: Predictor) -> None:
    spec = predictor.spec.model_copy(update={"grouping": None})
    with pytest.raises(UserError, match=r"^groups: would be ignored: run answers no task for groups; labels"):
        next(answer_groups(spec, []))


def test_a_specification_keeps_its_grouping_and_older_ones_have_none(predictor: Predictor) -> None:
    text = predictor.spec.to_json()
    assert InferenceSpec.from_json(text, "here") == predictor.spec
    none = predictor.spec.model_copy(update={"grouping": None})
    older = none.to_json().replace(', "grouping": null', "")
    assert older != none.to_json()
    assert InferenceSpec.from_json(older, "here").grouping is None
    with pytest.raises(UserError, match=r"^here: tasks: there is no task 'hat'"):
        InferenceSpec.from_json(text.replace('"grouping": {"tasks": ["gender"', '"grouping": {"tasks": ["hat"'), "here")
