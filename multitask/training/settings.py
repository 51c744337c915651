"""The ``training`` section of a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from multitask.errors import nearest
from multitask.losses.settings import ConsistencySettings
from multitask.model import timm_names
from multitask.settings import Bool, Changes, Epochs, Float, NonNegativeFloat, PositiveFloat, PositiveInt, Settings
from multitask.training.schedules import AnySchedule, CosineSettings

if TYPE_CHECKING:
    import torch

    from multitask.model.encoder import ParameterGroup

Precision = Literal["auto", "fp32", "bf16", "fp16"]

ELEMENTWISE = (
    "adamw", "sgd", "adam", "nadam", "nadamw", "radam", "adamax", "adagrad", "adadelta", "nesterov", "momentum",
    "rmsprop", "rmsproptf", "lion", "adopt", "laprop", "adabelief",
)  # fmt: skip
"""The optimisers that move every element by its own gradients, so that parts of weights are moved as wholes are. Others
take norms of whole weights, or draw, where processes would wait for each other in vain."""


class OptimizerSettings(Settings):
    """The ``training.optimizer`` section."""

    name: str = "adamw"
    """Any name of ``timm.optim.list_optimizers()``."""
    weight_decay: NonNegativeFloat = 0.01
    """Of the weights alone; biases and normalisation have none."""
    layer_decay: Annotated[Float, Field(gt=0, le=1)] | None = None
    """Each layer's learning rate as a factor of the next one's; the backbone's last layer has the heads' rate, ``lr``.
    None: one rate for all."""
    options: dict[str, Any] = {}
    """Passed to the optimiser as they are, as ``betas: [0.9, 0.95]``."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if not timm_names.is_optimizer(name):
            raise ValueError(f"timm has no optimiser {name!r}{nearest(name, timm_names.optimizer_names())}")
        return name

    @field_validator("options")
    @classmethod
    def _free(cls, options: Mapping[str, object]) -> Mapping[str, object]:
        own = {"lr": "training.lr", "weight_decay": "training.optimizer.weight_decay"}
        for key in options:
            if key in own:
                raise ValueError(f"cannot set {key!r}; set {own[key]}")
        return options

    def build(self, groups: list[ParameterGroup], lr: float) -> torch.optim.Optimizer:
        """An optimiser of parameter groups.

        Raises:
            UserError: the optimiser does not take the options.
        """
        from multitask.training.optim import create_optimizer

        return create_optimizer(self, groups, lr)

    @property
    def state_keys(self) -> frozenset[frozenset[str]]:
        """The names in this optimiser's state of a parameter: the sets of names that there are."""
        from multitask.training.optim import tried

        return tried(self, 1e-3)


class EMASettings(Settings):
    """The ``training.ema`` section: an exponential moving average of the weights, validated and kept in their place."""

    decay: Annotated[Float, Field(gt=0, lt=1)] = 0.998
    """The share of the average that each step keeps."""
    warmup: Bool = True
    """Whether the average forgets faster at first, while the weights still move far."""


class KeepSettings(Settings):
    """The ``training.keep`` section: which epoch's weights a run keeps."""

    name: Literal["best", "lower_bound", "last", "mean"] | None = None
    """best: of the epoch with the best ``monitor``; lower_bound: the best after its standard error over groups is taken
    off; last: of the last epoch; mean: the mean of the weights after each of the last ``epochs``, which is what each
    epoch validates. The last two ask nobody who validates. None: best where ``patience`` or another ``monitor`` than
    usual is set, else last."""
    epochs: Annotated[PositiveInt, Field(le=1000)] | None = None
    """Of the mean; None: 3."""

    @model_validator(mode="after")
    def _check(self) -> KeepSettings:
        if self.epochs is not None and self.name != "mean":
            raise ValueError(f"epochs: {self.epochs} would be ignored, since name is {self.name or 'null'}, not mean")
        return self

    @property
    def asks(self) -> bool:
        """Whether scores of those who validate decide."""
        return self.name in ("best", "lower_bound")

    @property
    def score_at(self) -> str | None:
        """Where an epoch's scores hold the number that decides; None: at ``monitor``."""
        return "bound" if self.name == "lower_bound" else None

    @property
    def averaged(self) -> int | None:
        """The number of epochs whose weights are averaged; None: none are."""
        return (self.epochs or 3) if self.name == "mean" else None

    def in_words(self, monitor: str) -> str:
        """What is kept, by which rule."""
        return {
            "best": f"best {monitor}",
            "lower_bound": f"best {monitor} within a standard error",
            "last": "last epoch",
            "mean": f"mean of the last {self.averaged} epochs",
        }[self.name or "last"]


class TrainingSettings(Settings):
    """The ``training`` section."""

    epochs: Epochs = 20
    batch_size: Annotated[PositiveInt, Field(le=65_536)] = 64
    lr: Annotated[PositiveFloat, Field(le=1e6)] = 1e-3
    """The learning rate after the warm-up."""
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: AnySchedule = CosineSettings()
    clip_norm: PositiveFloat | None = 5.0
    """The gradient is scaled down to this norm where it is longer."""
    accumulate: Annotated[PositiveInt, Field(le=10_000)] = 1
    """Batches per step; at most those of an epoch."""
    ema: EMASettings | None = None
    """None: the weights themselves are validated and kept."""
    precision: Precision = "auto"
    """auto: half precision on a GPU that gains from it, fp32 on a CPU."""
    patience: Epochs | None = None
    """Epochs without a better score after which training stops; None: never."""
    monitor: str = "joint.macro_f1"
    """The score that picks the best epoch, as in ``metrics.jsonl`` below ``val``; losses are better when lower."""
    keep: KeepSettings = KeepSettings()
    consistency: ConsistencySettings | None = None
    """None: images of a group are answered each on its own."""
    checkpoint_steps: Annotated[PositiveInt | None, Field(exclude_if=lambda steps: steps is None)] = None
    """Every so many steps of the optimiser within an epoch a checkpoint is written, from which ``--resume`` goes on.
    None: it goes on from the last finished epoch."""

    parallel: Annotated[Literal["ddp", "fsdp"], Field(exclude_if=lambda how: how == "ddp")] = "ddp"
    """What each process of ``torchrun`` holds. ``ddp``: all weights, gradients and states of the optimiser; ``fsdp``: a
    part of each, for networks that do not fit one GPU. A single process holds all either way."""

    @model_validator(mode="after")
    def _check(self) -> TrainingSettings:
        if self.schedule.warmup_epochs >= self.epochs > 1 or self.schedule.warmup_epochs > self.epochs:
            raise ValueError(
                f"schedule.warmup_epochs must be less than epochs, found {self.schedule.warmup_epochs} of {self.epochs}"
            )
        if not self.monitors and self._other_monitor:
            raise ValueError(
                f"monitor: {self.monitor} would be ignored, since keep.name is {self.keep_rule.name} and patience is "
                "not set"
            )
        if self.parallel == "fsdp" and self.optimizer.name not in ELEMENTWISE:
            raise ValueError(
                f"parallel: fsdp needs an optimiser that moves every element by itself, found {self.optimizer.name}; "
                f"use one of {', '.join(ELEMENTWISE)}"
            )
        if self.consistency is not None and self.accumulate > 1:
            raise ValueError(
                f"accumulate: must be 1 beside consistency, which looks at each batch alone, found {self.accumulate}"
            )
        if (self.keep_rule.averaged or 0) > self.epochs:
            raise ValueError(f"keep.epochs must be at most epochs ({self.epochs}), found {self.keep_rule.averaged}")
        return self

    def changes_to_length(self, epochs: int) -> Changes:
        """What a config changes to be trained for so many epochs: what cannot be longer is cut with them.

        A warm-up that would be as long ends before the last epoch, and the mean is of at most all epochs.

        >>> TrainingSettings(epochs=9, keep={"name": "mean"}).changes_to_length(2)
        {'training.epochs': 2, 'training.schedule.warmup_epochs': 1, 'training.keep.epochs': 2}
        """
        warmup = min(self.schedule.warmup_epochs, max(epochs - 1, 1))
        found: Changes = {"training.epochs": epochs, "training.schedule.warmup_epochs": warmup}
        averaged = self.keep_rule.averaged
        return found | ({} if averaged is None else {"training.keep.epochs": min(averaged, epochs)})

    @property
    def keep_rule(self) -> KeepSettings:
        """``keep``, its rule named also where the settings leave it open."""
        if self.keep.name is not None:
            return self.keep
        return KeepSettings(name="best" if self.patience is not None or self._other_monitor else "last")

    @property
    def _other_monitor(self) -> bool:
        return bool(self.monitor != type(self).model_fields["monitor"].default)

    @property
    def monitors(self) -> bool:
        """Whether ``monitor`` decides anything: which epoch is kept, or when training stops."""
        return self.keep_rule.asks or self.patience is not None
