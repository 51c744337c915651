from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from multitask.evaluation.decode import DecodeRule, DecodeSettings, JointSettings, LabelledOutputs, Priors
from multitask.evaluation.decode.base import macro_f1
from multitask.evaluation.decode.bias import ClassBiasSettings
from multitask.evaluation.decode.crossfit import (
    NUM_FOLDS,
    cross_fit,
    cross_fit_each,
    deal,
    deal_known,
    influences,
    num_folds,
)
from multitask.evaluation.decode.expected import ExpectedF1Settings
from multitask.evaluation.intervals import resample
from multitask.labels import LabelSpace


def shuffled(known: LabelledOutputs, seed: int) -> LabelledOutputs:
    """The same images with the labels of others."""
    order = np.random.default_rng(seed).permutation(len(known))
    return LabelledOutputs(known.outputs, known.labels[order], known.groups)


def test_groups_stay_together_and_every_class_is_shared_out(
    make_known: Callable[..., LabelledOutputs], space: LabelSpace
) -> None:
    known = make_known(space, rows=200, missing=0.1)
    folds = deal(known, 0)
    assert set(folds) == set(range(NUM_FOLDS))
    assert all(len(set(folds[known.groups == group])) == 1 for group in set(known.groups))
    assert deal(known, 0).tolist() == folds.tolist()
    assert deal(known, 1).tolist() != folds.tolist()
    order = np.random.default_rng(0).permutation(len(known))
    assert deal(known.take(order), 0).tolist() == folds[order].tolist()


def test_with_few_groups_there_are_fewer_folds_and_each_has_one_with_a_class(
    make_known: Callable[..., LabelledOutputs],
) -> None:
    known = make_known(rows=40)
    for num_groups in (1, 2, 3, 5, 6):
        names = np.array([f"p{place % num_groups}" for place in range(40)], dtype=object)
        some = LabelledOutputs(known.outputs, known.labels, names)
        assert num_folds(some) == min(num_groups, NUM_FOLDS)
        if num_groups > 1:
            assert len(set(deal(some, 0))) == num_folds(some)
    # Of six only two have a class.
    names = np.array([f"p{place % 6}" for place in range(40)], dtype=object)
    labels = np.where(np.isin(names, ["p0", "p3"])[:, None], known.labels, -1)
    half = LabelledOutputs(known.outputs, labels, names)
    folds = deal(half, 0)
    assert num_folds(half) == 2
    assert set(folds[half.classes >= 0]) == {0, 1}
    assert num_folds(LabelledOutputs(known.outputs, np.full_like(labels, -1), names)) == 0


def test_groups_with_any_label_are_dealt_where_no_image_has_all(make_known: Callable[..., LabelledOutputs]) -> None:
    known = make_known(rows=40)
    whole = deal_known(known, 0)
    assert whole is not None
    assert whole.tolist() == deal(known, 0).tolist()
    names = np.array([f"p{place % 6}" for place in range(40)], dtype=object)
    labels = np.where(np.arange(known.space.num_tasks) == 0, known.labels, -1)
    labels[names == "p5"] = -1
    folds = deal_known(LabelledOutputs(known.outputs, labels, names), 0)
    assert folds is not None
    assert sorted({(name, fold) for name, fold in zip(names, folds, strict=True) if name != "p5"}) == [
        (f"p{place}", folds[place]) for place in range(5)
    ]
    assert len(set(folds)) == 5
    one = LabelledOutputs(known.outputs, labels, np.full(40, "p0", dtype=object))
    assert deal_known(one, 0) is None


def test_groups_with_some_labels_are_shared_out_too(make_known: Callable[..., LabelledOutputs]) -> None:
    known = make_known(rows=120)
    names = np.array([f"p{place % 60}" for place in range(120)], dtype=object)
    numbers = np.arange(120) % 60
    labels = known.labels.copy()
    labels[numbers >= 10, 1:] = -1
    labels[numbers >= 35, 0] = -1
    labels[(numbers >= 35) & (numbers < 55), 1] = 0
    mixed = LabelledOutputs(known.outputs, labels, names)
    folds = deal_known(mixed, 0)
    assert folds is not None
    for first, end in ((0, 10), (10, 35), (35, 55)):  # whole, two sorts of partial; the last five have no label
        inside = (numbers >= first) & (numbers < end)
        sizes = [len(set(numbers[inside & (folds == fold)])) for fold in range(NUM_FOLDS)]
        assert sum(sizes) == end - first
        assert max(sizes) - min(sizes) <= (end - first) // 5
    alone = known.take(np.flatnonzero(numbers < 10))
    alone = LabelledOutputs(alone.outputs, alone.labels, names[numbers < 10])
    assert folds[numbers < 10].tolist() == deal(alone, 0).tolist()


class Spy(DecodeSettings):
    name: str = "spy"

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        seen.append(set(known.groups))
        return JointSettings().fit(known, priors, seed)

    def unfitted(self) -> DecodeRule:
        raise AssertionError


seen: list[set[str]] = []


def test_no_group_is_answered_by_a_rule_that_saw_it(make_known: Callable[..., LabelledOutputs]) -> None:
    known = make_known()
    folds = deal(known, 0)
    seen.clear()
    cross_fit(Spy(), known, None, folds, 0)
    assert len(seen) == NUM_FOLDS
    for fold, groups in enumerate(seen):
        assert groups == set(known.groups) - set(known.groups[folds == fold])


def test_rules_that_share_folds_decide_as_each_by_itself(make_known: Callable[..., LabelledOutputs]) -> None:
    known = make_known(rows=80)
    folds = deal(known, 0)
    rules = {rule.name: rule for rule in (ExpectedF1Settings(), ClassBiasSettings())}
    for name, predicted in cross_fit_each(rules, known, None, folds, 0).items():
        np.testing.assert_array_equal(predicted, cross_fit(rules[name], make_known(rows=80), None, folds, 0))


def test_labels_that_say_nothing_are_not_learned_by_cross_fitting_though_they_are_in_sample(
    make_known: Callable[..., LabelledOutputs],
) -> None:
    """The leak test: on shuffled labels class biases gain in sample and nothing on whom they were not fitted on."""
    rule = ClassBiasSettings()
    gains = []
    for seed in range(8):
        known = shuffled(make_known(rows=160, seed=seed), seed)
        possible = known.space.possible
        joint = macro_f1(known.classes, JointSettings().fit(known, None, 0).decode(known.outputs), possible)
        inside = macro_f1(known.classes, rule.fit(known, None, 0).decode(known.outputs), possible)
        crossed = macro_f1(known.classes, cross_fit(rule, known, None, deal(known, seed), 0), possible)
        gains.append((inside - joint, crossed - joint))
    in_sample, cross_fitted = np.mean(gains, axis=0)
    assert in_sample > 0.05
    assert cross_fitted < 0.02


def test_influences_give_the_standard_error_that_resampling_gives(make_known: Callable[..., LabelledOutputs]) -> None:
    known = make_known(rows=2000, signal=1.5)
    groups = np.unique(known.groups.astype(str), return_inverse=True)[1].astype(np.int64)
    possible = known.space.possible
    first = known.outputs.scores().argmax(axis=0)
    second = np.where(np.random.default_rng(0).random(2000) < 0.2, known.classes, first)
    moved = [influences(known.classes, answers, groups, len(possible)) for answers in (first, second)]
    drawn = [resample(known.classes, answers, groups, possible, 0).macro_f1 for answers in (first, second)]
    assert sum(moved[0]) == pytest.approx(0, abs=1e-12)
    for one, other in ((moved[0], drawn[0]), (moved[1] - moved[0], drawn[1] - drawn[0])):
        assert np.sqrt((one**2).sum()) == pytest.approx(np.std(other), rel=0.1)
