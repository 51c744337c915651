"""The network: a shared backbone and a head for every task that is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from torch import Tensor, nn

from multitask.labels import JOINT, LabelSpace
from multitask.model.backbone import Backbone, BackboneSettings
from multitask.model.encoded import Encoded
from multitask.model.heads import NetSettings
from multitask.model.joint import TermSettings
from multitask.settings import Settings, variants

import timm  # isort: skip  (after backbone, which makes it importable)


class SharedSettings(Settings):
    """One backbone, one head per task."""

    name: Literal["shared"] = "shared"

    def learned(self, space: LabelSpace) -> LabelSpace:
        """The label space that the heads learn: a head for each of its tasks."""
        return space


class FlatSettings(Settings):
    """One backbone, one head over all classes of the product."""

    name: Literal["flat"] = "flat"

    def learned(self, space: LabelSpace) -> LabelSpace:
        """The classes as one task; its classes' indices are those of ``space``."""
        return space.flattened()


AnySharing = Annotated[SharedSettings | FlatSettings, *variants("shared")]
"""The table of ways to share a network between tasks."""


class ModelSettings(Settings):
    """The ``model`` section."""

    backbone: BackboneSettings = BackboneSettings()
    sharing: AnySharing = SharedSettings()


class ByTask(nn.ModuleDict):
    """Modules by task, whatever the task's name: ``nn.ModuleDict`` refuses ``type``, ``keys`` and its other methods'.

    Args:
        modules: per task.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__(modules)

    def __setitem__(self, key: str, module: nn.Module) -> None:
        """Modules are reached by key alone, never as attributes, so there is nothing for a name to hide."""
        self._modules[key] = module

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # ``training`` is the flag, whatever the tasks are called


class Heads(nn.Module):
    """What a backbone made of pictures, to the log-probabilities of every head.

    Args:
        heads: by task; each ``Encoded`` pictures to (B, C_t) log-probabilities.
        joint: the joint term, where there is one: ``Encoded`` pictures and the heads' answers to (B, C).
    """

    def __init__(self, heads: ByTask, joint: nn.Module | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.joint = joint

    def encode(self, inputs: Tensor) -> Encoded:
        """What the heads read: here (B, F) features that were computed before."""
        return Encoded(inputs)

    def answer(self, encoded: Encoded) -> dict[str, Tensor]:
        """Log-probabilities: per head (B, C_t), and (B, C) ``joint`` where there is a joint term."""
        answers: dict[str, Tensor] = {name: head(encoded) for name, head in self.heads.items()}
        if self.joint is not None:
            answers[JOINT] = self.joint(encoded, answers)
        return answers

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """``encode`` and ``answer``."""
        return self.answer(self.encode(inputs))

    def last_layer(self) -> Sequence[Tensor]:
        """The weights of the last layer that all heads share and that is trained; none where there is none."""
        return []

    def parameter_groups(self, weight_decay: float, layer_decay: float | None) -> list[dict[str, Any]]:
        """Optimiser groups, at the full learning rate whatever the layers' decay."""
        modules = nn.ModuleList([self.heads] if self.joint is None else [self.heads, self.joint])
        groups = timm.optim.param_groups_weight_decay(modules, weight_decay)
        return [{**group, "lr_scale": 1.0} for group in groups if group["params"]]


class Network(Heads):
    """Pictures to the log-probabilities of every head.

    Args:
        backbone: what pictures become before the heads see them.
        space: the label space that is learned; one head for each of its tasks.
        nets: the heads' settings, by task.
        joint: the joint term's settings; None: there is none.
    """

    def __init__(
        self, backbone: Backbone, space: LabelSpace, nets: Mapping[str, NetSettings], joint: TermSettings | None = None
    ) -> None:
        widths = backbone.widths
        super().__init__(
            ByTask({task.name: nets[task.name].build(widths, task) for task in space.tasks}),
            None if joint is None else joint.build(widths, space),
        )
        self.backbone = backbone

    def encode(self, inputs: Tensor) -> Encoded:
        """(B, 3, H, W) pictures, normalised, as the backbone sees them."""
        return self.backbone.encode(inputs)

    def last_layer(self) -> Sequence[Tensor]:
        """The backbone's."""
        return [weight for weight in self.backbone.parameters() if weight.requires_grad and weight.ndim > 1][-1:]

    def parameter_groups(self, weight_decay: float, layer_decay: float | None) -> list[dict[str, Any]]:
        """Optimiser groups: the backbone's, then the heads' at the full learning rate."""
        return [
            *self.backbone.parameter_groups(weight_decay, layer_decay),
            *super().parameter_groups(weight_decay, layer_decay),
        ]

    def after_backbone(self) -> Heads:
        """The heads, these and no copies, as a network of features that the backbone computed before."""
        return Heads(self.heads, self.joint)

    def fixed_state(self) -> dict[str, Tensor]:
        """The part of the state that training cannot change: that of a backbone which is frozen whole, else nothing."""
        if not self.backbone.frozen:
            return {}
        return {f"backbone.{name}": value for name, value in self.backbone.state_dict().items()}
