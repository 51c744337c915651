"""Pooling of a group's outputs in the tasks whose label belongs to the group.

Of N images x_i with labels (g, y_i), g those of the tasks per group and y_i the rest, p(g, y_i | x_i) =
p(g | x_i) p(y_i | g, x_i). Pooling puts one p(g | x_1, ..., x_N) in the place of every p(g | x_i) and leaves the
second factor as it is. Of heads that are apart that is head by head; where classes are learned as a whole, by one head
over all or a joint term, g are the labels of all tasks per group together.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from multitask.errors import UserError
from multitask.evaluation.decode.group_tasks import GroupTasks
from multitask.evaluation.decode.outputs import LabelledOutputs, ModelOutputs
from multitask.evaluation.decode.temperature import Temperature, fit_temperature
from multitask.evaluation.group_pooling import LOWEST, Pooling, effective_sizes, mean_evidence
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import JOINT, MISSING, LabelSpace
from multitask.settings import Float, Settings, Table


class PoolingRule(Settings):
    """A fitted pooling: its parameters are plain numbers, which a run keeps as JSON.

    >>> MeanPooling().pooled("gender", np.log([[0.9, 0.1], [0.5, 0.5]]), np.array([0, 0])).round(3)
    array([[-0.357, -1.204],
           [-0.357, -1.204]])

    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("gender", ("male", "female"))])
    >>> outputs = ModelOutputs(space, {"gender": np.log([[0.9, 0.1], [0.5, 0.5]])})
    >>> known = LabelledOutputs(outputs, np.array([[0], [0]]), np.array(["a", "a"], dtype=object))
    >>> tasks = GroupTasks(space, ("gender",))
    >>> rule = MeanPooling.fit(known, tasks)
    >>> rule.check(tasks, space)
    >>> rule
    MeanPooling(name='mean')
    """

    name: str

    @classmethod
    @abstractmethod
    def fit(cls, known: LabelledOutputs, tasks: GroupTasks) -> PoolingRule:
        """The pooling under which the labels of ``known`` are the most probable."""

    @abstractmethod
    def pooled(self, table: str, log_probs: FloatArray, groups: IntArray) -> FloatArray:
        """log p(g | the images of its group), for each image.

        Args:
            table: the head whose outputs they are, or ``joint``.
            log_probs: (N, G) of each image, rows normalised.
            groups: (N,) the group of each, every one below U in use.

        Returns:
            (N, G), not necessarily normalised.
        """

    def check(self, tasks: GroupTasks, learned: LabelSpace) -> None:
        """Refuses parameters of another label space.

        Raises:
            UserError: a parameter has other tables, or another number of labels.
        """


POOLING_RULES: Table[PoolingRule] = Table("pooling", PoolingRule, default="mean")
"""The table of poolings; its rows stand in the package's ``__init__``. A run takes the first that no other beats by
more than a standard error."""

AnyPoolingRule = Annotated[PoolingRule, POOLING_RULES]


class MeanPooling(PoolingRule):
    """The mean of the images' probabilities: the linear opinion pool of Stone 1961.

    >>> log_probs, groups = np.log([[0.9, 0.1], [0.5, 0.5]]), np.array([0, 0])
    >>> np.exp(MeanPooling().pooled("gender", log_probs, groups)).round(3).tolist()
    [[0.7, 0.3], [0.7, 0.3]]
    """

    name: Literal["mean"] = "mean"

    @classmethod
    def fit(cls, known: LabelledOutputs, tasks: GroupTasks) -> PoolingRule:
        """The pooling, which has no parameters."""
        return cls()

    def pooled(self, table: str, log_probs: FloatArray, groups: IntArray) -> FloatArray:
        """As of ``PoolingRule.pooled``."""
        order = np.argsort(groups, kind="stable")
        starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        values = log_probs[order]
        most = np.maximum.reduceat(values, starts)
        sums = np.add.reduceat(np.exp(values - most[groups[order]]), starts)
        found = most + np.log(sums) - np.log(np.bincount(groups))[:, None]
        return np.asarray(found[groups])


class LogPooling(PoolingRule):
    """The log-opinion pool: p(g | ...) ~ p(g) prod_i (p(g | x_i) / p(g)) ** (w / n) over the n images of a group.

    w = n / (1 + (n - 1) r) is as how many independent images they count, with r the correlation of their evidence; see
    ``group_pooling``. p(g | x_i) are the outputs at a temperature T, and p(g) is their mean: where a network is surer
    than right, its evidence would outweigh the prior, and rare labels suffer. What is pooled is scaled back by T, so
    that one image alone gives what it gave, and the temperature of decoding has the same meaning as ever.

    >>> prior = tuple(np.log([0.5, 0.5]))
    >>> rule = LogPooling(temperatures={"gender": 1}, correlations={"gender": 1}, log_priors={"gender": prior})
    >>> log_probs, groups = np.log([[0.9, 0.1], [0.5, 0.5]]), np.array([0, 0])
    >>> found = np.exp(rule.pooled("gender", log_probs, groups))
    >>> (found / found.sum(axis=1, keepdims=True)).round(3).tolist()
    [[0.75, 0.25], [0.75, 0.25]]
    """

    name: Literal["log_pool"] = "log_pool"
    temperatures: dict[str, Temperature]
    """T, of each table that is pooled."""
    correlations: dict[str, Annotated[Float, Field(ge=0, le=1)]]
    """r, likewise."""
    log_priors: dict[str, tuple[Float, ...]]
    """log p(g), likewise (G,)."""

    @classmethod
    def fit(cls, known: LabelledOutputs, tasks: GroupTasks) -> PoolingRule:
        """The pooling under which the groups' labels are the most probable."""
        groups = np.unique(known.groups.astype(str), return_inverse=True)[1].astype(np.int64)
        temperatures, correlations, log_priors = {}, {}, {}
        for table, values in known.outputs.tables().items():
            if places := tasks.places(table, known.space):
                found = _split(values, tasks.axes(table, known.space), places)[0]
                given = _labels_of_groups(known, tasks, table, groups)
                temperatures[table] = fit_temperature(found, given[groups])
                fitted = Pooling.fit(_scaled(found, temperatures[table]), groups, given)
                correlations[table] = 1.0 if fitted.correlation is None else fitted.correlation
                log_priors[table] = tuple(map(float, fitted.answered))
        return cls(temperatures=temperatures, correlations=correlations, log_priors=log_priors)

    def pooled(self, table: str, log_probs: FloatArray, groups: IntArray) -> FloatArray:
        """As of ``PoolingRule.pooled``."""
        prior, temperature = np.array(self.log_priors[table]), self.temperatures[table]
        scaled = _scaled(np.maximum(log_probs, LOWEST), temperature)
        sizes, mean = mean_evidence(scaled, prior, groups, lowest=-np.inf)
        found = prior + effective_sizes(sizes, self.correlations[table])[:, None] * mean
        return np.asarray(temperature * found[groups])

    def check(self, tasks: GroupTasks, learned: LabelSpace) -> None:
        """As of ``PoolingRule.check``; ``joint``'s may be there or not."""
        tables = [*learned.task_names, JOINT]
        widths = {name: tasks.width(name, learned) for name in tables if tasks.places(name, learned)}
        tables_of = {"temperatures": {*self.temperatures}, "correlations": {*self.correlations}}
        for what, found in {**tables_of, "log_priors": {*self.log_priors}}.items():
            if found - {JOINT} != {*widths} - {JOINT}:
                raise UserError(f"pooling.{what}: must be of {', '.join(widths)}, found {sorted(found)}")
            if found != {*self.temperatures}:
                raise UserError(f"pooling.{what}: must be of the same heads as temperatures")
        for name, row in self.log_priors.items():
            if len(row) != widths[name]:
                raise UserError(f"pooling.log_priors.{name}: must be {widths[name]} numbers, found {len(row)}")


class NoPooling(PoolingRule):
    """Every image by itself, as if it were its group.

    >>> np.exp(NoPooling().pooled("gender", np.log([[0.9, 0.1], [0.5, 0.5]]), np.array([0, 0]))).round(3).tolist()
    [[0.9, 0.1], [0.5, 0.5]]
    """

    name: Literal["none"] = "none"

    @classmethod
    def fit(cls, known: LabelledOutputs, tasks: GroupTasks) -> PoolingRule:
        """The pooling, which has no parameters."""
        return cls()

    def pooled(self, table: str, log_probs: FloatArray, groups: IntArray) -> FloatArray:
        """As of ``PoolingRule.pooled``: what was given."""
        return log_probs


def pool(rule: PoolingRule, outputs: ModelOutputs, tasks: GroupTasks, groups: IntArray) -> ModelOutputs:
    """The outputs in which each image has its group's evidence for the tasks per group.

    Args:
        rule: how evidence is pooled.
        outputs: for N images.
        tasks: those per group.
        groups: (N,) numbers; the images of a group must all be there, and one that is alone stays as it is.

    Returns:
        Of the same images, in their order.

    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("mask", ("on", "off")), Task("gender", ("male", "female"))])
    >>> one, two = np.log([[0.9, 0.1], [0.2, 0.8]]), np.log([[0.9, 0.1], [0.5, 0.5]])
    >>> outputs = ModelOutputs(space, {"mask": one, "gender": two})
    >>> found = pool(MeanPooling(), outputs, GroupTasks(space, ("gender",)), groups=np.array([7, 7]))
    >>> {name: np.exp(values).round(2).tolist() for name, values in found.heads.items()}
    {'mask': [[0.9, 0.1], [0.2, 0.8]], 'gender': [[0.7, 0.3], [0.7, 0.3]]}
    """
    _, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    rows = np.flatnonzero(sizes[numbers] > 1)
    if not len(rows):
        return outputs
    together = np.unique(numbers[rows], return_inverse=True)[1].astype(np.int64)

    def of_table(table: str, values: FloatArray) -> FloatArray:
        places, axes = tasks.places(table, outputs.space), tasks.axes(table, outputs.space)
        if not places:
            return values
        given, rest = _split(values[rows], axes, places)
        found = rule.pooled(table, given, together)
        changed = values.copy()
        changed[rows] = _join(found - _log_sum(found)[:, None], rest, axes, places)
        return changed

    tables = {name: of_table(name, values) for name, values in outputs.tables().items()}
    joint = tables.pop(JOINT, None)
    return ModelOutputs(outputs.space, tables, joint)


def pool_labelled(rule: PoolingRule, known: LabelledOutputs, tasks: GroupTasks) -> LabelledOutputs:
    """The same images and labels with outputs as of ``pool``, by their own groups.

    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("gender", ("male", "female"))])
    >>> outputs = ModelOutputs(space, {"gender": np.log([[0.9, 0.1], [0.5, 0.5]])})
    >>> known = LabelledOutputs(outputs, np.array([[0], [0]]), np.array(["a", "a"], dtype=object))
    >>> found = pool_labelled(MeanPooling(), known, GroupTasks(space, ("gender",)))
    >>> np.exp(found.outputs.heads["gender"]).round(2).tolist()
    [[0.7, 0.3], [0.7, 0.3]]
    """
    groups = np.unique(known.groups.astype(str), return_inverse=True)[1].astype(np.int64)
    return replace(known, outputs=pool(rule, known.outputs, tasks, groups))


def _scaled(log_probs: FloatArray, temperature: float) -> FloatArray:
    """(N, G) log-probabilities at a temperature, normalised."""
    values = log_probs / temperature
    return np.asarray(values - _log_sum(values)[:, None])


def _log_sum(values: FloatArray) -> FloatArray:
    """log sum exp over the last axis, of finite values."""
    most = values.max(axis=-1)
    return np.asarray(most + np.log(np.exp(values - most[..., None]).sum(axis=-1)))


def _order(axes: Sequence[int], places: Sequence[int]) -> tuple[int, ...]:
    """The axes after that of the images, those of ``places`` first."""
    return (*places, *(place for place in range(len(axes)) if place not in places))


def _split(values: FloatArray, axes: Sequence[int], places: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """log p(g | x), (N, G), and log p(y | g, x), (N, G, R), of (N, G R) log-probabilities."""
    order = [place + 1 for place in _order(axes, places)]
    width = math.prod(axes[place] for place in places)
    product = values.reshape(-1, *axes).transpose(0, *order).reshape(len(values), width, -1)
    given = _log_sum(product)
    return given - _log_sum(given)[:, None], product - given[..., None]


def _join(given: FloatArray, rest: FloatArray, axes: Sequence[int], places: Sequence[int]) -> FloatArray:
    """The inverse of ``_split``: (N, G R)."""
    order = _order(axes, places)
    product = (given[..., None] + rest).reshape(-1, *(axes[place] for place in order))
    return product.transpose(0, *(np.argsort(order) + 1)).reshape(len(given), -1)


def _labels_of_groups(known: LabelledOutputs, tasks: GroupTasks, table: str, groups: IntArray) -> IntArray:
    """(U,) the value of g that the labels of each group give, ``MISSING`` where they give none or several."""
    places, axes = tasks.places(table, known.space), tasks.axes(table, known.space)
    columns = tasks.columns(table, known.space)
    flat = known.space.task_names != tasks.space.task_names
    labels = tasks.space.decode(known.labels[:, 0]) if flat else known.labels
    labels = labels[:, [columns[place] for place in places]]
    whole = (labels != MISSING).all(axis=1)
    sizes = [axes[place] for place in places]
    values = np.ravel_multi_index(tuple(labels[whole].T), sizes)
    least, most = np.full(groups.max() + 1, math.prod(sizes)), np.full(groups.max() + 1, MISSING)
    np.minimum.at(least, groups[whole], values)
    np.maximum.at(most, groups[whole], values)
    return np.where(least == most, most, MISSING).astype(np.int64)
