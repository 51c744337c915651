from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from multitask.config import Config
from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions
from multitask.labels import LabelSpace, Task
from multitask.runs.comparison import differing_settings, paired_differences

SPACE = LabelSpace([Task("colour", ("red", "green", "blue")), Task("shape", ("round", "square"))])
METRICS = ["joint.macro_f1", "joint.accuracy", "tasks.colour.macro_f1", "tasks.shape.macro_f1"]


def make(right: float, num_groups: int = 60, seed: int = 0) -> Predictions:
    """Answers that are right with a probability, of the same images whatever the probability."""
    truth = np.random.default_rng(99).integers(0, 6, num_groups * 4)
    rng = np.random.default_rng(seed)
    guess = np.where(rng.random(len(truth)) < right, truth, rng.integers(0, 6, len(truth)))
    labels = torch.from_numpy(SPACE.decode(guess))
    log_probs = {
        task.name: (5.0 * torch.nn.functional.one_hot(labels[:, i], task.num_classes)).double().log_softmax(dim=1)
        for i, task in enumerate(SPACE.tasks)
    }
    images = np.array([f"i{i}" for i in range(len(truth))], dtype=object)
    groups = np.array([f"g{i // 4}" for i in range(len(truth))], dtype=object)
    return Predictions(SPACE, SPACE, images, groups, SPACE.decode(truth), log_probs, guess)


def take(predictions: Predictions, rows: np.ndarray) -> Predictions:
    return replace(
        predictions,
        images=predictions.images[rows],
        groups=predictions.groups[rows],
        labels=predictions.labels[rows],
        log_probs={name: values[rows] for name, values in predictions.log_probs.items()},
        predicted=predictions.predicted[rows],
    )


def test_run_against_itself_differs_by_exactly_0_in_any_order_of_its_rows() -> None:
    one = make(0.6)
    shuffled = take(one, np.random.default_rng(5).permutation(len(one)))
    found = paired_differences(["one", "again", "shuffled"], [one, one, shuffled])
    assert [(row.run, row.metric) for row in found] == [
        (run, metric) for run in ("again", "shuffled") for metric in METRICS
    ]
    for row in found:
        assert row.value == pytest.approx(0.0, abs=1e-12)
        assert abs(row.low) < 1e-12
        assert abs(row.high) < 1e-12
    for row in found[: len(METRICS)]:
        assert (row.value, row.low, row.high) == (0.0, 0.0, 0.0)
        assert not row.beyond_noise


def test_planted_improvement_is_beyond_noise_and_its_opposite_too() -> None:
    for base, new, sign in ((0.5, 0.9, 1), (0.9, 0.5, -1)):
        for row in paired_differences(["base", "new"], [make(base, seed=1), make(new, seed=2)]):
            assert row.beyond_noise
            assert row.value * sign > 0.1
            assert row.low < row.value < row.high
            assert (row.num_images, row.num_groups) == (240, 60)


def test_difference_of_two_equally_good_runs_is_noise() -> None:
    rows = [
        row
        for seed in range(10)
        for row in paired_differences(["a", "b"], [make(0.7, seed=seed), make(0.7, seed=100 + seed)])
    ]
    assert sum(row.beyond_noise for row in rows) <= 0.2 * len(rows)


def test_a_higher_level_gives_wider_intervals_about_the_same_values() -> None:
    runs = ["base", "new"], [make(0.6, seed=1), make(0.68, seed=2)]
    usual, low, high = (paired_differences(*runs, level=level) for level in (0.95, 0.5, 0.999))
    assert usual == paired_differences(*runs)
    for narrow, middle, wide in zip(low, usual, high, strict=True):
        assert (narrow.metric, narrow.value) == (middle.metric, middle.value) == (wide.metric, wide.value)
        assert wide.low < middle.low < narrow.low < narrow.high < middle.high < wide.high
    # So that what one comparison takes for real, several need not.
    assert [row.beyond_noise for row in low] != [row.beyond_noise for row in high]


def test_only_images_that_both_answered_count() -> None:
    one, two = make(0.5, seed=1), make(0.9, seed=2)
    found = paired_differences(["one", "two"], [take(one, np.arange(0, 160)), take(two, np.arange(80, 240))])
    both = paired_differences(["one", "two"], [take(one, np.arange(80, 160)), take(two, np.arange(80, 160))])
    assert found == both
    assert (found[0].num_images, found[0].num_groups) == (80, 20)


def test_runs_that_do_not_compare_are_refused() -> None:
    one = make(0.5)
    other_space = LabelSpace([Task("colour", ("red", "green", "pink")), SPACE.tasks[1]])
    with pytest.raises(UserError, match=r"^new: has another label space than base"):
        paired_differences(["base", "new"], [one, replace(one, space=other_space, learned=other_space)])
    with pytest.raises(UserError, match=r"^new: shares no images with base: .* other data$"):
        paired_differences(["base", "new"], [take(one, np.arange(100)), take(one, np.arange(100, 240))])
    relabelled = replace(one, labels=(one.labels + 1) % np.array(SPACE.sizes))
    with pytest.raises(UserError, match=r"^new: was scored on other labels than base"):
        paired_differences(["base", "new"], [one, relabelled])


def test_differing_settings_are_listed_and_the_same_are_not(tiny: Callable[..., Config]) -> None:
    configs = [
        tiny(),
        tiny({"training.lr": 0.01, "data.workers": 3, "data.cache": "none"}),
        tiny({"heads.age.loss.name": "focal", "seed": 3}),
    ]
    assert differing_settings([config.model_dump(mode="json") for config in configs]) == {
        "seed": [0, 0, 3],
        "training.lr": [0.001, 0.01, 0.001],
        "heads.age.loss.name": ["cross_entropy", "cross_entropy", "focal"],
        "heads.age.loss.gamma": [None, None, 2.0],
    }
    assert differing_settings([tiny().model_dump(mode="json")] * 2) == {}
    flat = tiny({"model.sharing.name": "flat", "seed": 3}).model_dump(mode="json")
    assert differing_settings([configs[2].model_dump(mode="json"), flat]) == {
        "model.sharing.name": ["shared", "flat"],
        "heads.age.loss.name": ["focal", None],
        "heads.age.loss.gamma": [2.0, None],
    }
    tracked = tiny({"tracking": ["csv"], "device": "cuda"})
    assert differing_settings([one.model_dump(mode="json") for one in (tiny(), tracked)]) == {}
