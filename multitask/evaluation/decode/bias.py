"""Biases fitted to the macro-F1 of the classes: one for each label of every head, or one for each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from multitask.errors import UserError
from multitask.evaluation.decode.base import DecodeRule, best_cell, check_widths, macro_f1
from multitask.evaluation.decode.class_score import ClassScore
from multitask.evaluation.decode.outputs import LabelledOutputs, ModelOutputs, Priors, product
from multitask.evaluation.decode.temperature import FittedSettings, Tempered, fit_temperatures
from multitask.evaluation.metrics import FloatArray, IntArray, f1_scores
from multitask.labels import LabelSpace
from multitask.settings import Float

LIMIT = 6.0
"""No bias is further from 0, a factor of 400 in the probability: a class that needs more has not been learned."""
SWEEPS = 3
"""Passes over all biases, at most."""
MOST_BIASES = 1000
"""Classes of which each can have a bias of its own: the time grows with their square."""


class HeadBias(Tempered):
    """argmax over y of sum_t (log p_t(y_t | x) / T_t + b_t(y_t)); symbols as in ``HeadBiasSettings``.

    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([[0.8, 0.2], [0.55, 0.45]])})
    >>> rule = HeadBias(temperatures={"colour": 1.0}, biases={"colour": (-0.5, 0.5)})
    >>> rule.decode(outputs), rule.class_score(space, joint=False).of(outputs).argmax(axis=0)
    (array([0, 1]), array([0, 1]))
    """

    name: Literal["head_bias"] = "head_bias"
    biases: dict[str, tuple[Float, ...]]

    def decode(self, outputs: ModelOutputs) -> IntArray:
        """(N,) classes that can occur."""
        offset = product({name: np.array(values) for name, values in self.biases.items()}, outputs.space)
        return best_cell(outputs.scores(self.temperatures) + offset[:, None])[0]

    def class_score(self, space: LabelSpace, joint: bool) -> ClassScore | None:
        """The scaled log-probability and the sum of the labels' biases."""
        offset = product({name: np.array(values) for name, values in self.biases.items()}, space)
        return ClassScore(self.temperatures, offset)

    def check(self, space: LabelSpace) -> None:
        """Refuses biases of another label space.

        Raises:
            UserError: a label has none, or one is of no head.
        """
        super().check(space)
        if {*self.biases} != {*space.task_names}:
            raise UserError(f"biases: must be of {', '.join(space.task_names)}, found {[*self.biases]}")
        check_widths("biases", self.biases, space)


class ClassBias(Tempered):
    """argmax over y of log p(y | x) + b(y), with b (C,) a bias for every class y.

    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([[0.8, 0.2], [0.55, 0.45]])})
    >>> rule = ClassBias(temperatures={"colour": 1.0}, biases=(-0.5, 0.5))
    >>> rule.decode(outputs), rule.class_score(space, joint=False).of(outputs).argmax(axis=0)
    (array([0, 1]), array([0, 1]))
    """

    name: Literal["class_bias"] = "class_bias"
    biases: tuple[Float, ...]

    def decode(self, outputs: ModelOutputs) -> IntArray:
        """(N,) classes that can occur."""
        return best_cell(outputs.scores(self.temperatures) + np.array(self.biases)[:, None])[0]

    def class_score(self, space: LabelSpace, joint: bool) -> ClassScore | None:
        """The scaled log-probability and the class's bias."""
        return ClassScore(self.temperatures, np.array(self.biases))

    def check(self, space: LabelSpace) -> None:
        """Refuses biases of another label space.

        Raises:
            UserError: there is not one for each class.
        """
        super().check(space)
        if len(self.biases) != space.num_classes:
            raise UserError(f"biases: must be {space.num_classes} numbers, found {len(self.biases)}")


class HeadBiasSettings(FittedSettings):
    """A bias for every label of every head, by coordinate ascent on the macro-F1 of the classes.

    argmax over y of sum_t (log p_t(y_t | x) / T_t + b_t(y_t)), with y = (y_1, ..., y_H) a class, p_t the probabilities
    of head t, T_t its temperature and b_t (C_t,) its biases, of mean 0.

    >>> from multitask.labels import Task
    >>> red = np.array([0.9, 0.8, 0.6, 0.55])
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([red, 1 - red]).T})
    >>> known = LabelledOutputs(outputs, np.array([[0], [0], [1], [1]]), np.array(list("abcd"), dtype=object))
    >>> HeadBiasSettings().fit(known, priors=None, seed=0).decode(outputs)
    array([0, 0, 1, 1])
    """

    name: Literal["head_bias"] = "head_bias"

    def num_parameters(self, space: LabelSpace) -> int:
        """A temperature for each head, and a bias for each label."""
        return space.num_tasks + sum(task.num_classes for task in space.tasks)

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """The rule with each bias in turn at its best value, the others held."""
        space = known.space
        temperatures = fit_temperatures(known, priors)
        cells = [
            np.flatnonzero(space.decode(np.arange(space.num_classes))[:, place] == label)
            for place, task in enumerate(space.tasks)
            for label in range(task.num_classes)
        ]
        found = iter(ascend(known.whole(), temperatures, cells))
        biases = {task.name: np.array([next(found) for _ in task.classes]) for task in space.tasks}
        return HeadBias(
            temperatures=temperatures,
            biases={name: tuple(map(float, values - values.mean())) for name, values in biases.items()},
        )


class ClassBiasSettings(FittedSettings):
    """A bias for every class, by coordinate ascent on the macro-F1: the rule that overfits the most.

    >>> from multitask.labels import Task
    >>> red = np.array([0.9, 0.8, 0.6, 0.55])
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([red, 1 - red]).T})
    >>> known = LabelledOutputs(outputs, np.array([[0], [0], [1], [1]]), np.array(list("abcd"), dtype=object))
    >>> ClassBiasSettings().fit(known, priors=None, seed=0).decode(outputs)
    array([0, 0, 1, 1])
    >>> ClassBiasSettings().problem(num_classes=10_000)
    'class_bias: is for at most 1,000 classes, found 10,000; head_bias is for more'
    """

    name: Literal["class_bias"] = "class_bias"

    def num_parameters(self, space: LabelSpace) -> int | None:
        """A temperature for each head, and a bias for each class; None where one head learns the classes whole, whose
        biases are the classes'.
        """
        return None if space.num_tasks == 1 else space.num_tasks + space.num_classes

    def problem(self, num_classes: int) -> str | None:
        """Refuses more than ``MOST_BIASES`` classes: each bias is tried against every class, which would take days."""
        if num_classes <= MOST_BIASES:
            return None
        return f"class_bias: is for at most {MOST_BIASES:,} classes, found {num_classes:,}; head_bias is for more"

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """The rule with each bias in turn at its best value, the others held."""
        temperatures = fit_temperatures(known, priors)
        possible = np.flatnonzero(known.space.possible)
        biases = np.zeros(known.space.num_classes)
        found = np.array(ascend(known.whole(), temperatures, [np.array([cell]) for cell in possible]))
        biases[possible] = found - found.mean()
        return ClassBias(temperatures=temperatures, biases=tuple(map(float, biases)))


def ascend(known: LabelledOutputs, temperatures: dict[str, float], cells: Sequence[IntArray]) -> list[float]:
    """Coordinate ascent on the macro-F1, from biases of 0.

    Args:
        known: N images with classes.
        temperatures: per head, or for ``joint``, as of ``ModelOutputs.scores``.
        cells: per bias, the classes that it is added to; not all of them.

    Returns:
        The biases, in the order of ``cells``.

    >>> from multitask.labels import Task
    >>> red = np.array([0.9, 0.8, 0.6, 0.55])
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([red, 1 - red]).T})
    >>> known = LabelledOutputs(outputs, np.array([[0], [0], [1], [1]]), np.array(list("abcd"), dtype=object))
    >>> [round(bias, 2) for bias in ascend(known, {"colour": 1.0}, [np.array([0]), np.array([1])])]
    [-0.9, 0.0]
    """
    scores = known.outputs.scores(temperatures)
    classes, possible = known.classes, known.space.possible
    num_possible = possible.sum()
    biases = [0.0] * len(cells)
    sides = [(inside[possible[inside]], np.setdiff1d(np.flatnonzero(possible), inside)) for inside in cells]
    value = macro_f1(classes, best_cell(scores)[0], possible) * num_possible
    for _ in range(SWEEPS):
        began = value
        for place, (inside, outside) in enumerate(sides):
            if not len(inside) or not len(outside):
                continue
            after, high = best_cell(scores, inside)
            before, low = best_cell(scores, outside)
            moved, reached = best_move(classes, before, after, low - high, biases[place], len(possible))
            if reached > value + 1e-9:
                value = reached
                biases[place] += moved
                scores[inside] += moved
        if value <= began + 1e-9:
            break
    return biases


def best_move(
    classes: IntArray, before: IntArray, after: IntArray, thresholds: FloatArray, bias: float, num_classes: int
) -> tuple[float, float]:
    """The best value of one bias, found exactly: the sum of F1s is computed at every value at which it changes.

    As the bias rises, each image passes from one class to another at its threshold. Sorted by it, the F1 of every class
    follows from running counts, and so does their sum at every step.

    Args:
        classes: (N,) the given classes.
        before: (N,) the predicted class of an image below its threshold.
        after: (N,) that above it; never a class that is before for any image.
        thresholds: (N,) by how much the bias must rise for the image to pass.
        bias: its present value, since it may not leave ``LIMIT``.
        num_classes: C.

    Returns:
        By how much the bias should rise, and the sum of the F1s there; of equals the nearest.

    >>> before, after = np.array([0, 0, 0]), np.array([1, 1, 1])
    >>> best_move(np.array([0, 1, 1]), before, after, np.array([2.0, 1.0, 0.5]), bias=0.0, num_classes=2)
    (1.5, 2.0)
    """
    num = len(classes)
    order = np.argsort(thresholds)
    levels, given = thresholds[order], np.bincount(classes, minlength=num_classes)
    before, after, truth = before[order], after[order], classes[order]
    guesses = np.bincount(before, minlength=num_classes)
    hits = np.bincount(truth[before == truth], minlength=num_classes)
    first = f1_scores(hits, given, guesses)

    # Two events at each step: a class loses the image, another gains it. In order of class, and within it of time.
    concerned = np.concatenate([before, after])
    by_class = np.argsort(concerned.astype(np.int16), kind="stable")  # for which numpy has the linear radix sort
    concerned = concerned[by_class]
    time = np.concatenate([np.arange(num)] * 2)[by_class]
    sign = np.repeat([-1, 1], num)[by_class]
    hit = sign * (truth[time] == concerned)
    starts = np.concatenate([[0], np.flatnonzero(concerned[1:] != concerned[:-1]) + 1])
    lengths = np.diff(np.append(starts, 2 * num))

    def running(steps: IntArray, initial: IntArray) -> IntArray:
        total = np.cumsum(steps)
        at_start = total[starts] - steps[starts]
        counts: IntArray = total + np.repeat(initial[concerned[starts]] - at_start, lengths)
        return counts

    f1 = f1_scores(running(hit, hits), given[concerned], running(sign, guesses))
    previous = np.concatenate([[0.0], f1[:-1]])
    previous[starts] = first[concerned[starts]]
    change = np.bincount(time, weights=f1 - previous, minlength=num)
    sums = first.sum() + np.concatenate([[0.0], np.cumsum(change)])

    moves = np.concatenate([[levels[0] - 1], (levels[:-1] + levels[1:]) / 2, [levels[-1] + 1]])
    # Equal thresholds are passed together, as are those that only rounding tells apart.
    between = np.concatenate([[True], np.diff(levels) > 1e-9, [True]])
    allowed = between & (np.abs(bias + moves) <= LIMIT)
    if not allowed.any():
        return 0.0, -np.inf
    sums, moves = sums[allowed], moves[allowed]
    best = sums.max()
    level = np.flatnonzero(sums >= best - 1e-9)
    chosen = level[np.argmin(np.abs(moves[level]))]
    return float(moves[chosen]), float(sums[chosen])
