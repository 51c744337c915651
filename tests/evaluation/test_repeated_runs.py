from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from multitask.errors import UserError
from multitask.evaluation.intervals import interval, resample
from multitask.evaluation.metrics import Scores
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.repeated_runs import aligned, gap, pass_weights, resampled_metrics, score_passes
from multitask.labels import MISSING, LabelSettings
from multitask.settings import validate

SPACE = validate(LabelSettings, {"tasks": {"mask": {"classes": ["on", "off"]}, "sex": {"classes": ["f", "m"]}}}).space()


def answers(right: float = 0.7, seed: int = 0, num_groups: int = 40, per_group: int = 3) -> Predictions:
    """Answers to the same images whatever the seed, of which about a share of ``right`` is right."""
    truth = np.random.default_rng(99).integers(0, 2, (num_groups, 2))
    labels = np.repeat(truth, per_group, axis=0)
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(labels.shape) < right, labels, 1 - labels)
    log_probs = {
        task.name: torch.log_softmax(4 * torch.eye(2, dtype=torch.float64)[torch.from_numpy(column)], dim=1)
        for task, column in zip(SPACE.tasks, said.T, strict=True)
    }
    names = np.array([f"{index:04d}.jpg" for index in range(len(labels))], dtype=object)
    groups = np.array([f"p{index // per_group:03d}" for index in range(len(labels))], dtype=object)
    return Predictions(SPACE, SPACE, names, groups, labels, log_probs, SPACE.encode(said))


class TestScore:
    def test_one_pass_is_the_plain_score_with_the_plain_interval(self) -> None:
        one = answers()
        found = score_passes([one], "joint.macro_f1", 3)
        assert found is not None
        assert found.value == Scores(one.classes, one.predicted, SPACE.possible).macro_f1
        plain = resample(one.classes, one.predicted, one.group_indices(), SPACE.possible, 3)
        assert found.interval() == pytest.approx(interval(plain.macro_f1), abs=1e-12)
        assert (found.num_images, found.num_groups) == (120, 40)

    def test_of_several_passes_it_is_their_mean(self) -> None:
        passes = [answers(0.9, 1), answers(0.6, 2), answers(0.6, 3)]
        found = score_passes(passes, "joint.accuracy", 0)
        assert found is not None
        singles = [float((one.classes == one.predicted).mean()) for one in passes]
        assert found.single == pytest.approx(singles)
        assert found.value == pytest.approx(sum(singles) / 3)

    def test_a_task_is_scored_by_its_own_arg_max(self) -> None:
        one = answers()
        found = score_passes([one], "tasks.sex.accuracy", 0)
        assert found is not None
        guess = one.log_probs["sex"].argmax(dim=1).numpy()
        assert found.value == pytest.approx((guess == one.labels[:, 1]).mean())

    def test_images_without_the_label_are_left_out(self) -> None:
        one = answers()
        labels = one.labels.copy()
        labels[:60, 1] = MISSING
        found = score_passes([replace(one, labels=labels)], "tasks.sex.accuracy", 0)
        assert found is not None
        assert (found.num_images, found.num_groups) == (60, 20)
        labels[:, 1] = MISSING
        assert score_passes([replace(one, labels=labels)], "tasks.sex.accuracy", 0) is None
        assert score_passes([replace(one, labels=labels)], "joint.macro_f1", 0) is None

    def test_over_some_classes_it_is_the_mean_of_their_f1(self) -> None:
        one = answers()
        f1 = Scores(one.classes, one.predicted, SPACE.possible).f1
        found = score_passes([one], "joint.macro_f1", 0, ["on/m", "off/f"])
        assert found is not None
        assert SPACE.class_names == ("on/f", "on/m", "off/f", "off/m")
        assert found.value == pytest.approx((f1[1] + f1[2]) / 2)

    def test_the_metrics_that_can_be_asked_for(self) -> None:
        for metric in resampled_metrics(SPACE):
            assert score_passes([answers(), answers(seed=1)], metric, 0) is not None


class TestInterval:
    def test_passes_that_differ_widen_it(self) -> None:
        alike = score_passes([answers(0.75, 1)] * 2, "joint.accuracy", 0)
        apart = score_passes([answers(0.95, 1), answers(0.55, 2)], "joint.accuracy", 0)
        assert alike is not None
        assert apart is not None
        widths = [high - low for low, high in (alike.interval(), apart.interval())]
        assert widths[1] > 1.5 * widths[0]

    @pytest.mark.parametrize("num", [2, 3, 7])
    def test_the_resampled_mean_of_passes_has_the_variance_of_a_mean(self, num: int) -> None:
        # Of P values with the sample variance s^2 a mean's variance is s^2 / P; drawing P of P gives (P - 1) / P of it.
        values = np.random.default_rng(0).normal(size=num)
        weights = pass_weights(num, 1)
        assert weights.sum(axis=1) == pytest.approx(np.ones(len(weights)))
        assert (weights @ values).var() == pytest.approx(values.var(ddof=1) / num, rel=0.12)

    def test_of_many_samples_it_holds_the_truth_as_often_as_it_says(self) -> None:
        # Contenders whose true difference is .1, over groups and seeds that are drawn anew each time.
        held = 0
        for trial in range(60):
            better, worse = (
                score_passes(
                    [answers(right, 1000 * trial + 10 * place + number) for number in range(4)],
                    "tasks.sex.accuracy",
                    trial,
                )
                for place, right in enumerate((0.8, 0.7))
            )
            assert better is not None
            assert worse is not None
            found = gap(better, worse)
            held += found.low <= 0.1 <= found.high
        assert held >= 51  # of 60; 57 are expected


class TestGap:
    def test_is_paired(self) -> None:
        one, two = answers(0.75, 1), answers(0.75, 1)
        flipped = two.predicted.copy()
        flipped[0] = (flipped[0] + 1) % 4
        first, second = (score_passes([each], "joint.accuracy", 0) for each in (one, replace(two, predicted=flipped)))
        assert first is not None
        assert second is not None
        found = gap(second, first)
        assert abs(found.value) == pytest.approx(1 / 120)
        assert found.high - found.low < 0.03 < first.interval()[1] - first.interval()[0]
        assert not found.beyond_noise

    def test_is_beyond_noise_where_the_interval_excludes_zero(self) -> None:
        good, bad = (score_passes([answers(right, 5)], "joint.macro_f1", 0) for right in (0.95, 0.4))
        assert good is not None
        assert bad is not None
        assert gap(good, bad).beyond_noise
        assert gap(bad, good).beyond_noise
        assert gap(good, bad).low == pytest.approx(-gap(bad, good).high)
        wide = gap(good, bad, 0.999)
        assert wide.low < gap(good, bad).low


class TestAligned:
    def test_puts_the_images_into_one_order(self) -> None:
        one = answers()
        mixed = one.take(np.random.default_rng(0).permutation(len(one)))
        (first,), (second,) = aligned(["a", "b"], [[one], [mixed]])
        assert (first.images == second.images).all()
        assert (first.predicted == second.predicted).all()
        for task in SPACE.task_names:
            assert torch.equal(first.log_probs[task], second.log_probs[task])

    def test_refuses_other_images_labels_and_label_spaces(self) -> None:
        one = answers()
        with pytest.raises(UserError, match="b: was scored on other images than a"):
            aligned(["a", "b"], [[one], [one.take(np.arange(10))]])
        with pytest.raises(UserError, match="b: was scored on other images than a"):
            aligned(["a", "b"], [[one], [replace(one, labels=1 - one.labels)]])
        other = validate(LabelSettings, {"tasks": {"mask": {"classes": ["on", "off"]}}}).space()
        with pytest.raises(UserError, match="b: has another label space than a"):
            aligned(["a", "b"], [[one], [replace(one, space=other)]])
