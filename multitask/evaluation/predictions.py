"""Predictions: the network's outputs and the decoded class of each image, and the table they are kept in."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from multitask.data.batch import Batch
from multitask.data.images import Normaliser
from multitask.errors import DivergedError, UserError
from multitask.evaluation.decode import LabelledOutputs, ModelOutputs
from multitask.evaluation.prediction_table import places_of, read_table
from multitask.labels import JOINT, MISSING, LabelSpace


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of N images.

    Attributes:
        space: the label space.
        learned: the label space of the heads, of the same classes.
        images: (N,) str, the samples' relative paths.
        groups: (N,) str.
        labels: (N, T) int64, ``MISSING`` where unknown.
        log_probs: per head of ``learned``, (N, C_t) float64.
        predicted: (N,) the decoded classes.
        joint: (N, C) float64 log-probabilities of the classes, where a joint term is learned; None: the heads are taken
            as independent.
        numbers: (N, T) float64, the raw numbers that labels were made of, NaN where there is none; None: no label was.
    """

    space: LabelSpace
    learned: LabelSpace
    images: NDArray[np.object_]
    groups: NDArray[np.object_]
    labels: NDArray[np.int64]
    log_probs: dict[str, Tensor]
    predicted: NDArray[np.int64]
    joint: Tensor | None = None
    numbers: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def concatenate(cls, parts: Sequence[Predictions]) -> Predictions:
        """The predictions of disjoint samples as one, as those of the folds are.

        Args:
            parts: at least one; of the same label spaces, no image in two of them.

        Raises:
            UserError: the label spaces differ, a joint term was learned in some parts only, or an image is in two
                parts.
        """
        assert parts, "there must be something to concatenate"
        first = parts[0]
        if any(part.space != first.space or part.learned != first.learned for part in parts):
            raise UserError("predictions of different label spaces cannot be joined")
        joints = [part.joint for part in parts if part.joint is not None]
        if joints and len(joints) < len(parts):
            raise UserError("predictions with and without a joint term cannot be joined")
        images = np.concatenate([part.images for part in parts])
        names, counts = np.unique(images.astype(str), return_counts=True)
        if (counts > 1).any():
            raise UserError(f"predictions of the same images cannot be joined, as of {names[np.argmax(counts)]}")
        return cls(
            first.space,
            first.learned,
            images,
            np.concatenate([part.groups for part in parts]),
            np.concatenate([part.labels for part in parts]),
            {name: torch.cat([part.log_probs[name] for part in parts]) for name in first.learned.task_names},
            np.concatenate([part.predicted for part in parts]),
            torch.cat(joints) if joints else None,
            _joined_numbers(parts),
        )

    def take(self, rows: NDArray[np.int64]) -> Predictions:
        """The predictions of some rows, in the order of ``rows``."""
        where = torch.from_numpy(np.ascontiguousarray(rows))
        return replace(
            self,
            images=self.images[rows],
            groups=self.groups[rows],
            labels=self.labels[rows],
            log_probs={name: values[where] for name, values in self.log_probs.items()},
            predicted=self.predicted[rows],
            joint=None if self.joint is None else self.joint[where],
            numbers=None if self.numbers is None else self.numbers[rows],
        )

    @property
    def num_groups(self) -> int:
        """G, the number of groups."""
        return len(set(self.groups))

    @property
    def classes(self) -> NDArray[np.int64]:
        """(N,) the given classes, ``MISSING`` where a label is."""
        return self.space.encode(self.labels)

    def tables(self) -> dict[str, Tensor]:
        """All log-probabilities: the heads', and as ``joint`` the classes' where a joint term is learned."""
        return dict(self.log_probs) if self.joint is None else {**self.log_probs, JOINT: self.joint}

    def joint_log_probs(self) -> Tensor:
        """(N, C) log-probabilities of the classes: those with a joint term, or the sums of the heads'."""
        return self.learned.joint_log_probs(self.log_probs) if self.joint is None else self.joint

    def outputs(self) -> ModelOutputs:
        """The outputs, as decode rules take them."""
        return ModelOutputs.of(self.log_probs, self.learned, self.joint)

    def known(self) -> LabelledOutputs:
        """The outputs with labels and groups, as decode rules are fitted on them."""
        # Where one head learns the classes whole, they are its labels.
        labels = self.labels if self.learned == self.space else self.classes[:, None]
        return LabelledOutputs(self.outputs(), labels, self.groups)

    def task_log_probs(self) -> dict[str, Tensor]:
        """Per task of ``space``, (N, C_t): the marginals of the joint, whatever the heads are."""
        return self.space.marginal_log_probs(self.joint_log_probs())

    def group_indices(self) -> NDArray[np.int64]:
        """(N,) the groups as numbers from 0."""
        return np.unique(self.groups.astype(str), return_inverse=True)[1].astype(np.int64)

    def to_csv(self) -> str:
        """A table: image, group, the given labels and class, the predicted class, every head's probabilities.

        Where a joint term is learned, the classes' probabilities too. Last, the raw numbers that labels were made of,
        where any is known.
        """
        columns: dict[str, object] = {"image": self.images, "group": self.groups}
        for column, task in enumerate(self.space.tasks):
            names = np.array([*task.classes, ""], dtype=object)  # MISSING is the last
            columns[task.name] = names[self.labels[:, column]]
        names = np.array([*self.space.class_names, ""], dtype=object)
        columns["class"] = names[self.classes]
        columns["predicted"] = names[self.predicted]
        for task in self.learned.tasks:
            probs = self.log_probs[task.name].exp().numpy()
            columns |= {f"p({task.name}={name})": probs[:, index] for index, name in enumerate(task.classes)}
        if self.joint is not None:
            probs = self.joint.exp().numpy()[:, self.space.possible]
            columns |= dict(zip(_joint_columns(self.space), probs.T, strict=True))
        for column, task in enumerate(self.space.tasks):
            if self.numbers is not None and not np.isnan(self.numbers[:, column]).all():
                columns[f"number({task.name})"] = self.numbers[:, column]
        return pd.DataFrame(columns).to_csv(index=False, float_format="%.9g", lineterminator="\n")

    @classmethod
    def from_csv(cls, path: Path, space: LabelSpace, learned: LabelSpace) -> Predictions:
        """The predictions in a table of ``to_csv``.

        Raises:
            UserError: there is no such file, or it is of another label space.
        """
        try:
            table = read_table(path)
            labels = np.stack(
                [places_of(task.name, table[task.name], (*task.classes, "")) for task in space.tasks], axis=1
            )
            labels[labels == np.array(space.sizes)] = MISSING
            probs = {
                task.name: np.stack([table[f"p({task.name}={name})"] for name in task.classes], axis=1)
                for task in learned.tasks
            }
            log_probs = {name: torch.from_numpy(values).log() for name, values in probs.items()}
            columns = _joint_columns(space)
            joint = None
            if columns[0] in table:
                all_probs = np.zeros((len(table["image"]), space.num_classes))
                all_probs[:, space.possible] = np.stack([table[name] for name in columns], axis=1)
                joint = torch.from_numpy(all_probs).log()
            return cls(
                space,
                learned,
                table["image"],
                table["group"],
                labels,
                log_probs,
                places_of("predicted", table["predicted"], space.class_names),
                joint,
                _numbers(table, space),
            )
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; `multitask evaluate` writes it") from None
        except KeyError as error:
            raise UserError(f"{path}: holds no predictions of this label space: there is no column {error}") from None
        except (ValueError, OSError, csv.Error) as error:
            raise UserError(f"{path}: holds no predictions of this label space: {error}") from None


def _joint_columns(space: LabelSpace) -> list[str]:
    """The columns of the probabilities of the classes that can occur."""
    return [f"p(joint={name})" for name, here in zip(space.class_names, space.possible, strict=True) if here]


def _numbers(table: Mapping[str, NDArray[Any]], space: LabelSpace) -> NDArray[np.float64] | None:
    """(N, T) the raw numbers that a table holds; ValueError if one is no number."""
    named = [f"number({task.name})" for task in space.tasks]
    if not any(name in table for name in named):
        return None
    columns = []
    for name in named:
        values = table.get(name, ())
        columns.append([float(value or "nan") for value in values] if name in table else [np.nan] * len(table["image"]))
    return np.array(columns, dtype=np.float64).T.copy()


def _joined_numbers(parts: Sequence[Predictions]) -> NDArray[np.float64] | None:
    """The raw numbers of several predictions of one label space; None where no part has any."""
    if all(part.numbers is None for part in parts):
        return None
    return np.concatenate(
        [np.full(part.labels.shape, np.nan) if part.numbers is None else part.numbers for part in parts]
    )


def compute(network: Callable[[Tensor], Mapping[str, Tensor]], images: Tensor) -> dict[str, Tensor]:
    """The outputs of a network in evaluation mode for one batch.

    Args:
        network: (B, 3, H, W) to {head: (B, C_t) log-probabilities}.
        images: (B, 3, H, W), normalised.

    Returns:
        Per head, (B, C_t) float32 log-probabilities on the network's device; ``joint`` likewise.

    Raises:
        DivergedError: an output is NaN.
    """
    answers = network(images)
    for name, values in answers.items():
        if bool(values.isnan().any()):
            raise DivergedError(f"{name if name == JOINT else f'heads.{name}'}: the network answers NaN")
    return {name: values.float() for name, values in answers.items()}


def predict(
    network: Callable[[Tensor], Mapping[str, Tensor]],
    batches: Iterable[Batch],
    preprocessing: Normaliser,
    device: torch.device,
    learned: LabelSpace,
) -> dict[str, Tensor]:
    """The outputs of a network in evaluation mode for every image.

    Args:
        network: (B, 3, H, W) to {head: (B, C_t) log-probabilities}.
        batches: the images, in order.
        preprocessing: the network's; its ``normalise`` turns what a batch holds into the network's input.
        device: the network's.
        learned: the heads' label space.

    Returns:
        Per head, (N, C_t) float64 log-probabilities on the CPU; and (N, C) ``joint`` where there is a joint term.

    Raises:
        DivergedError: an output is NaN.
    """
    answers: dict[str, list[Tensor]] = {name: [] for name in learned.task_names}
    for batch in batches:
        images = preprocessing.normalise(batch.images.to(device, non_blocking=True))
        for name, values in compute(network, images).items():
            answers.setdefault(name, []).append(values)
    # Normalised anew: float32 rows sum to 1 only to seven digits.
    return {name: torch.cat(values).cpu().double().log_softmax(dim=1) for name, values in answers.items()}
