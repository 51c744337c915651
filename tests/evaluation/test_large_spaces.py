"""Ten thousand classes: nothing that is made has a row of all classes for every class, or for every resample."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from multitask.evaluation.decode import IndependentSettings
from multitask.evaluation.decode_comparison import decide_and_fit
from multitask.evaluation.intervals import resample
from multitask.evaluation.label_issues import find_suspects
from multitask.evaluation.metrics import MATRIX_CLASSES
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.report_schema import RunReport, TrainingFacts
from multitask.evaluation.summary import distribution, epoch_scores, summarise
from multitask.labels import LabelSpace, Task
from multitask.reporting.run.page import render_report
from multitask.runs.comparison import paired_differences
from multitask.utils.records import parse_record, record_to_json

SIZES = {"200 x 50": (200, 50), "10 x 10 x 10 x 10": (10, 10, 10, 10)}
NUM_IMAGES = 800


def make_predictions(sizes: tuple[int, ...]) -> Predictions:
    rng = np.random.default_rng(0)
    space = LabelSpace([Task(f"t{i}", tuple(f"c{j}" for j in range(size))) for i, size in enumerate(sizes)])
    log_probs = {
        task.name: torch.from_numpy(rng.normal(size=(NUM_IMAGES, task.num_classes))).log_softmax(dim=1)
        for task in space.tasks
    }
    labels = np.stack([rng.integers(size, size=NUM_IMAGES) for size in sizes], axis=1)
    labels[: NUM_IMAGES // 2] = np.stack([log_probs[name].argmax(dim=1) for name in space.task_names], axis=1)[
        : NUM_IMAGES // 2
    ]
    images = np.array([f"{index}.png" for index in range(NUM_IMAGES)], dtype=object)
    groups = np.array([f"g{index // 4}" for index in range(NUM_IMAGES)], dtype=object)
    guess = np.stack([log_probs[name].argmax(dim=1) for name in space.task_names], axis=1)
    return Predictions(space, space, images, groups, labels, log_probs, space.encode(guess))


@contextmanager
def at_most(num_mb: float) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] / 1e6 < num_mb
    finally:
        tracemalloc.stop()


@pytest.fixture(params=SIZES.values(), ids=SIZES.keys())
def predictions(request: pytest.FixtureRequest) -> Predictions:
    return make_predictions(request.param)


def test_report_and_page_of_ten_thousand_classes_are_small(predictions: Predictions) -> None:
    with at_most(400):
        summary = summarise(predictions, {"name": "independent"}, 0)
        assert np.isfinite(epoch_scores(predictions).joint_macro_f1)
    counts = distribution(predictions.labels, predictions.groups, predictions.space)
    report = RunReport(
        **vars(summary),
        run="r",
        split="val",
        created="2026-11-28T00:00:00+00:00",
        training=TrainingFacts(best_epoch=None, num_epochs=0, seconds=0.0),
        class_distribution={"train": counts, "val": counts},
    )
    text = record_to_json(report)
    assert len(text) < 5e6
    assert parse_record(text, RunReport, Path("report.json")) == report
    matrix = report.joint.confusion
    assert matrix.num_classes == 10_000
    assert sum(count for *_, count in matrix.entries) == NUM_IMAGES
    if predictions.space.num_tasks > 2:
        return  # the page is the same, and takes seconds to draw
    page = render_report(report, [])
    assert len(page.encode()) < 3e6
    there = len(set(predictions.classes))
    assert f"The 100 worst of the {there:,} classes that occur here, of 10,000 in all." in page
    assert "Commonest confusions" in page
    assert 'id="confusion-joint"' not in page


def test_decoding_and_comparing_ten_thousand_classes_takes_little() -> None:
    predictions = make_predictions(SIZES["200 x 50"])
    with at_most(500):
        decide_and_fit(predictions, IndependentSettings(), None, 0, 0)
        assert paired_differences(["a", "b"], [predictions, predictions])[0].value == 0


def test_an_audit_of_ten_thousand_classes_takes_little() -> None:
    predictions = make_predictions(SIZES["200 x 50"]).take(np.arange(200))
    with at_most(300):
        found = find_suspects(predictions)
    assert {row.head for row in found.heads} == {"t0", "t1", "joint"}


def test_intervals_of_many_classes_are_those_of_the_same_classes_among_few() -> None:
    rng = np.random.default_rng(0)
    given, groups = rng.integers(5, size=300), np.arange(300) // 3
    guess = np.where(rng.random(300) < 0.7, given, rng.integers(5, size=300))
    few, many = np.ones(5, dtype=bool), np.ones(MATRIX_CLASSES + 44, dtype=bool)
    one, other = resample(given, guess, groups, few, 0), resample(given * 60, guess * 60, groups, many, 0)
    np.testing.assert_allclose(other.macro_f1, one.macro_f1 * 5 / len(many), rtol=1e-12)
    np.testing.assert_array_equal(other.accuracy, one.accuracy)


def test_an_answer_table_with_ten_thousand_probabilities_an_image_is_read_as_numbers(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    few = make_predictions(SIZES["200 x 50"]).take(np.arange(20))
    joint = few.joint_log_probs()
    whole = Predictions(few.space, few.learned, few.images, few.groups, few.labels, few.log_probs, few.predicted, joint)
    path = tmp_path_factory.mktemp("large") / "predictions.csv"
    path.write_text(whole.to_csv())
    with at_most(100):
        read = Predictions.from_csv(path, few.space, few.learned)
    assert read.joint is not None
    assert torch.allclose(read.joint, joint, atol=1e-6)


def test_the_names_of_the_classes_are_made_once() -> None:
    space = make_predictions(SIZES["200 x 50"]).space
    assert space.class_names is space.class_names
