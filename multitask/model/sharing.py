"""Ways in which the tasks share a network: the ``model`` section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from multitask.errors import UserError, nearest
from multitask.labels import LabelSpace
from multitask.model.settings import BackboneSettings
from multitask.settings import ConfigPath, Settings, Table

if TYPE_CHECKING:
    from multitask.model.encoder import Encoder


class SharingSettings(Settings):
    """The settings of a way to share a network, which build the encoder."""

    name: str

    @property
    def apart(self) -> bool:
        """Whether tasks read trunks of their own: then no features are all heads', and a frozen backbone would make the
        trunks alike.
        """
        return False

    def learned(self, space: LabelSpace) -> LabelSpace:
        """The label space that the heads learn, a head for each of its tasks: here the tasks' own."""
        return space

    def check(self, space: LabelSpace) -> None:
        """Refuses a label space whose tasks cannot share in this way.

        Raises:
            ValueError: one line that names the key, the rule and what was found.
        """

    def build(
        self, backbone: BackboneSettings, image_size: tuple[int, int], tasks: Sequence[str], pretrained: bool = True
    ) -> Encoder:
        """The encoder that the heads of the tasks read: here one backbone.

        Args:
            backbone: the ``model.backbone`` section.
            image_size: height and width in pixels.
            tasks: the names of the heads.
            pretrained: False where a checkpoint's weights follow.

        Raises:
            UserError: the backbone cannot be built, or not in this way, or its weights do not fit.
        """
        from multitask.model.backbone import Backbone

        return Backbone(backbone, image_size, pretrained)


SHARINGS: Table[SharingSettings] = Table("way to share", SharingSettings, default="shared")
"""The table of ways to share a network; its rows stand in the package's ``__init__``."""

AnySharing = Annotated[SharingSettings, SHARINGS]


class SharedSettings(SharingSettings):
    """One backbone, one head per task."""

    name: Literal["shared"] = "shared"


class FlatSettings(SharingSettings):
    """One backbone, one head over all classes of the product.

    A sample of which only some labels are known teaches it the marginal likelihood of these: the probability of all
    classes that agree with them.
    """

    name: Literal["flat"] = "flat"

    def learned(self, space: LabelSpace) -> LabelSpace:
        """The classes as one task; its classes' indices are those of ``space``."""
        return space.flattened()


class ApartSettings(SharingSettings):
    """Tasks that read trunks of their own."""

    @property
    def apart(self) -> bool:
        """True."""
        return True

    def check(self, space: LabelSpace) -> None:
        """Refuses a label space of one task."""
        if space.num_tasks < 2:
            raise ValueError(f"model.sharing: {self.name} needs several tasks, found {space.num_tasks}; use shared")


class SeparateSettings(ApartSettings):
    """A network per task, each from the same weights (from random ones of its own where there are none)."""

    name: Literal["separate"] = "separate"

    def build(
        self, backbone: BackboneSettings, image_size: tuple[int, int], tasks: Sequence[str], pretrained: bool = True
    ) -> Encoder:
        """A backbone for each task."""
        from multitask.model.backbone import Backbone
        from multitask.model.encoder import Trunks

        trunks = [Backbone(backbone, image_size, pretrained) for _ in tasks]
        if trunks[0].frozen:
            raise UserError(f"model.backbone.freeze: {backbone.freeze} leaves nothing to train in separate networks")
        return Trunks(trunks, [(task,) for task in tasks])


class BranchSettings(ApartSettings):
    """One backbone up to a stage, and a copy of the rest for each task, or for each group of tasks."""

    name: Literal["branch"] = "branch"
    at: Annotated[str, Field(min_length=1)]
    """The last stage that is shared, as timm names it: a ``module`` of the model's ``feature_info``."""
    groups: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] | None = None
    """The tasks that share a branch, as ``[[mask], [gender, age]]``; None: every task has its own."""

    def check(self, space: LabelSpace) -> None:
        """Refuses groups that lack a task, or have one twice."""
        super().check(space)
        if self.groups is None:
            return
        named = [name for group in self.groups for name in group]
        for name in named:
            if name not in space.task_names:
                raise ValueError(f"model.sharing.groups: there is no task {name!r}{nearest(name, space.task_names)}")
            if named.count(name) > 1:
                raise ValueError(f"model.sharing.groups: {name} stands twice")
        for name in space.task_names:
            if name not in named:
                raise ValueError(f"model.sharing.groups: {name} is in none of them")
        if len(self.groups) == 1:
            raise ValueError("model.sharing.groups: one group has nothing to branch off from; use shared")

    def build(
        self, backbone: BackboneSettings, image_size: tuple[int, int], tasks: Sequence[str], pretrained: bool = True
    ) -> Encoder:
        """A trunk with a branch for each group."""
        from multitask.model.backbone import Backbone
        from multitask.model.branch import Branched

        groups = self.groups or [(task,) for task in tasks]
        return Branched(Backbone(backbone, image_size, pretrained), self.at, groups, image_size)


class ModelSettings(Settings):
    """The ``model`` section."""

    backbone: BackboneSettings = BackboneSettings()
    sharing: AnySharing = SharedSettings()
    batch_norm: Literal["shared", "per_source", "synchronised"] = "shared"
    """``synchronised``: in training over several processes batch norms normalise by the images of all of them; else by
    those of each, and the first's statistics are kept. ``per_source``: in training the backbone's batch norms normalise
    each of several sources by statistics of its own, scale and shift are shared; afterwards those of
    ``data.source.target`` count. Frozen stages keep theirs."""
    start_from: ConfigPath | None = None
    """The folder of a run of the same network and split, whose best weights, heads and all, training begins with: that
    of heads on a frozen backbone, to train its last stages next (``backbone.freeze`` less than all of them)."""

    @model_validator(mode="after")
    def _check(self) -> ModelSettings:
        if self.backbone.freeze == "all" and self.batch_norm != "shared":
            raise ValueError(
                f"batch_norm: {self.batch_norm} would be ignored, since backbone.freeze is all and a frozen backbone "
                "keeps its statistics"
            )
        if self.backbone.freeze == "all" and self.sharing.apart:
            raise ValueError(
                f"sharing: {self.sharing.name} would be ignored, since backbone.freeze is all and copies would "
                "stay alike; use shared"
            )
        return self
