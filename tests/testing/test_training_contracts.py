"""The suites of class weightings, schedules, ways to share and kinds of task over one's own rows, right and wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch
from pydantic import Field

from multitask.labels import LabelSpace, Task, TaskSettings
from multitask.losses import ClassWeightSettings
from multitask.model import SharingSettings
from multitask.model.backbone import Backbone
from multitask.model.encoder import Encoder, Trunks
from multitask.model.settings import BackboneSettings
from multitask.testing import check_class_weights, check_schedule, check_sharing, check_task_kind
from multitask.training import ScheduleSettings
from multitask.training.optim import PolyLRScheduler, Scheduler, StepLRScheduler

# --- class weightings -------------------------------------------------------------------------------------------------


class LogSettings(ClassWeightSettings):
    name: Literal["log"] = "log"

    def raw(self, counts: Any) -> Any:
        return 1 / np.log(np.e + counts)


class InfiniteSettings(LogSettings):
    """Divides by the count, whatever it is."""

    def raw(self, counts: Any) -> Any:
        with np.errstate(divide="ignore"):
            return 1 / counts


class UnseenSettings(LogSettings):
    """Leaves a class out that was never seen."""

    def raw(self, counts: Any) -> Any:
        return (counts > 0).astype(float)


class OfThreeSettings(LogSettings):
    def problems(self, classes: Sequence[str]) -> Iterator[str]:
        if len(classes) != 3:
            yield f"name: is for 3 classes, found {len(classes)}"


class InPlaceSettings(LogSettings):
    def raw(self, counts: Any) -> Any:
        counts += 1
        return 1 / counts


class UnscaledSettings(LogSettings):
    def scaled(self, counts: Any) -> Any:
        return torch.tensor(self.raw(counts), dtype=torch.float32)


def test_class_weights() -> None:
    check_class_weights(LogSettings())
    for row, said in (
        (OfThreeSettings(), "fit a task of 4 classes, of which it says: name: is for 3 classes, found 4"),
        (InfiniteSettings(), "give finite raw weights"),
        (UnseenSettings(), "give a class that was never seen a weight above 0"),
        (InPlaceSettings(), "leave the counts as they are"),
        (UnscaledSettings(), "give weights whose mean over the training images is 1, not 0"),
    ):
        with pytest.raises(AssertionError, match=rf"^{type(row).__name__} must {said}"):
            check_class_weights(row)


# --- schedules --------------------------------------------------------------------------------------------------------


class SquareSettings(ScheduleSettings):
    name: Literal["square"] = "square"
    power: float = 2.0

    def build(self, optimizer: Any, lr: float, epochs: int, updates_per_epoch: int) -> Scheduler:
        length = self._length(epochs, updates_per_epoch)
        warmup = self._warmup(lr, updates_per_epoch)
        return PolyLRScheduler(optimizer, length, power=self.power, lr_min=lr / 1000, **warmup)


class ColdSettings(SquareSettings):
    """Has no warm-up."""

    def _warmup(self, lr: float, updates_per_epoch: int) -> dict[str, Any]:
        return {"t_in_epochs": False}


class DoublingSettings(SquareSettings):
    """Goes on to rise."""

    def build(self, optimizer: Any, lr: float, epochs: int, updates_per_epoch: int) -> Scheduler:
        return StepLRScheduler(optimizer, updates_per_epoch, decay_rate=2.0, **self._warmup(lr, updates_per_epoch))


class _Level(PolyLRScheduler):
    """Sets the learning rate of all groups, whatever their scale."""

    def update_groups(self, values: Any) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = values[-1]


class LevelSettings(SquareSettings):
    def build(self, optimizer: Any, lr: float, epochs: int, updates_per_epoch: int) -> Scheduler:
        length, warmup = self._length(epochs, updates_per_epoch), self._warmup(lr, updates_per_epoch)
        return _Level(optimizer, length, **warmup)


class _Counting(PolyLRScheduler):
    """Counts the updates itself."""

    def step_update(self, num_updates: int, metric: float | None = None) -> None:
        self.count = getattr(self, "count", 0) + 1
        super().step_update(self.count)


class CountingSettings(SquareSettings):
    def build(self, optimizer: Any, lr: float, epochs: int, updates_per_epoch: int) -> Scheduler:
        length, warmup = self._length(epochs, updates_per_epoch), self._warmup(lr, updates_per_epoch)
        return _Counting(optimizer, length, **warmup)


def test_a_schedule() -> None:
    check_schedule(SquareSettings())
    for row, said in (
        (ColdSettings(), "rise in a line from a hundredth of the learning rate over 1 warmup_epochs"),
        (DoublingSettings(), "give learning rates above 0 and at most the one that is set in a run of 6 epochs"),
        (LevelSettings(), "honour the lr_scale of each of the optimiser's groups"),
        (CountingSettings(), "give the learning rates that it would have given, where a run is resumed after 1 "),
    ):
        with pytest.raises(AssertionError, match=rf"^{type(row).__name__} must {said}"):
            check_schedule(row)


# --- ways to share ----------------------------------------------------------------------------------------------------


class HalvesSettings(SharingSettings):
    """A network for each half of the tasks."""

    name: Literal["halves"] = "halves"

    @property
    def apart(self) -> bool:
        return True

    def build(
        self, backbone: BackboneSettings, image_size: tuple[int, int], tasks: Sequence[str], pretrained: bool = True
    ) -> Encoder:
        half = len(tasks) // 2
        trunks = [Backbone(backbone, image_size, pretrained) for _ in range(2)]
        return self.of(trunks, [tasks[:half], tasks[half:]])

    def of(self, trunks: list[Any], tasks: list[Sequence[str]]) -> Encoder:
        return Trunks(trunks, tasks)


class IdleSettings(HalvesSettings):
    """One of its networks is read by no task."""

    def of(self, trunks: list[Any], tasks: list[Sequence[str]]) -> Encoder:
        return Trunks(trunks, [[*tasks[0], *tasks[1]], []])


class UngroupedSettings(HalvesSettings):
    """Optimises the first network alone."""

    def of(self, trunks: list[Any], tasks: list[Sequence[str]]) -> Encoder:
        encoder = Trunks(trunks, tasks)
        encoder.parameter_groups = trunks[0].parameter_groups  # type: ignore[method-assign]
        return encoder


class _Miscounted(Trunks):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.widths, self.num_trunks = self.all_widths, 1


class MiscountedSettings(HalvesSettings):
    """Says that its networks are one."""

    def of(self, trunks: list[Any], tasks: list[Sequence[str]]) -> Encoder:
        return _Miscounted(trunks, tasks)


class SameDigestSettings(HalvesSettings):
    def of(self, trunks: list[Any], tasks: list[Sequence[str]]) -> Encoder:
        encoder = Trunks(trunks, tasks)
        encoder.state_digest = lambda: "always"  # type: ignore[method-assign]
        return encoder


class TogetherSettings(HalvesSettings):
    @property
    def apart(self) -> bool:
        return False


class FewerSettings(HalvesSettings):
    """Learns the first task alone."""

    def learned(self, space: LabelSpace) -> LabelSpace:
        return LabelSpace(space.tasks[:1])


def test_a_way_to_share() -> None:
    check_sharing(HalvesSettings())
    for row, said in (
        (FewerSettings(), "learn the same classes in the same order"),
        (MiscountedSettings(), r"give colour \(4, \d+\) features, not \(4, \d+\)"),
        (TogetherSettings(), "say apart as it is: True"),
        (IdleSettings(), "say num_trunks as they are: 1"),
        (UngroupedSettings(), "put every parameter into one of the optimiser's groups"),
        (SameDigestSettings(), "have another state_digest with other weights"),
    ):
        with pytest.raises(AssertionError, match=rf"^{type(row).__name__} must {said}"):
            check_sharing(row)


def test_a_way_to_share_that_names_stages_is_checked_with_a_backbone_that_has_them() -> None:
    from multitask.model.sharing import BranchSettings

    check_sharing(BranchSettings(at="blocks.3"), BackboneSettings(name="test_vit", weights="none"))


# --- kinds of task ----------------------------------------------------------------------------------------------------


class YesNoSettings(TaskSettings):
    kind: Literal["yes_no"] = "yes_no"

    def task(self, name: str) -> Task:
        return Task(name, ("no", "yes"))


class GradedSettings(TaskSettings):
    """Ranges of equal width."""

    kind: Literal["graded"] = "graded"
    num: Annotated[int, Field(ge=2)] = 4
    width: float = 10.0

    def task(self, name: str) -> Task:
        edges = tuple(self.width * place for place in range(1, self.num))
        return Task(name, tuple(f"grade {place}" for place in range(self.num)), "binned", edges, 0.0)


class OtherNameSettings(YesNoSettings):
    def task(self, name: str) -> Task:
        return Task("smiles", ("no", "yes"))


class OneClassSettings(YesNoSettings):
    def task(self, name: str) -> Task:
        return Task(name, ("yes",))


class OtherKindSettings(YesNoSettings):
    def task(self, name: str) -> Task:
        return Task(name, ("no", "yes"), "yes_no")  # type: ignore[arg-type]


class FallingSettings(GradedSettings):
    def task(self, name: str) -> Task:
        return Task(name, ("a", "b", "c"), "binned", (60.0, 30.0))


class _Lenient(Task):
    def index(self, value: object) -> int:
        return self.classes.index(str(value)) if value in self.classes else -1


class LenientSettings(YesNoSettings):
    """Takes a misspelt class for one that nobody knows."""

    def task(self, name: str) -> Task:
        return _Lenient(name, ("no", "yes"))


class ForgetfulSettings(YesNoSettings):
    """Does not write what it holds."""

    hidden: Annotated[tuple[str, ...], Field(exclude=True)] = ("no", "yes")

    def task(self, name: str) -> Task:
        return Task(name, self.hidden)


def test_a_kind_of_task() -> None:
    check_task_kind(YesNoSettings())
    check_task_kind(GradedSettings(num=3))
    for row, said in (
        (OtherNameSettings(), "give the task the name that it was given, not 'smiles'"),
        (OneClassSettings(), "give at least two classes, not 1"),
        (OtherKindSettings(), "give a task of one of the kinds nominal, ordinal, binned, not 'yes_no'"),
        (FallingSettings(), "give edges that rise from lowest to highest"),
        (LenientSettings(), "refuse a value that is no class"),
        (ForgetfulSettings(hidden=("a", "b")), "read back as it was written"),
    ):
        with pytest.raises(AssertionError, match=rf"^{type(row).__name__} must {said}"):
            check_task_kind(row)
