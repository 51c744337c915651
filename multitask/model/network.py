"""The network: a shared backbone and a head for every task that is learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from torch import Tensor, nn

from multitask.labels import LabelSpace
from multitask.model.backbone import Backbone, BackboneSettings
from multitask.model.heads import NetSettings
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
    """Features to logits of every head.

    Args:
        heads: by task; each (B, F) features to (B, C_t) logits.
    """

    def __init__(self, heads: ByTask) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Logits per head: (B, F) to {task: (B, C_t)}."""
        return {name: head(features) for name, head in self.heads.items()}

    def parameter_groups(self, weight_decay: float, layer_decay: float | None) -> list[dict[str, Any]]:
        """Optimiser groups, at the full learning rate whatever the layers' decay."""
        groups = timm.optim.param_groups_weight_decay(self.heads, weight_decay)
        return [{**group, "lr_scale": 1.0} for group in groups if group["params"]]


class Network(Heads):
    """Pictures to logits of every head.

    Args:
        backbone: pictures to (B, F) features.
        space: the label space that is learned; one head for each of its tasks.
        nets: the heads' settings, by task.
    """

    def __init__(self, backbone: Backbone, space: LabelSpace, nets: Mapping[str, NetSettings]) -> None:
        num_features = backbone.num_features
        super().__init__(
            ByTask({task.name: nets[task.name].build(num_features, task.num_classes) for task in space.tasks})
        )
        self.backbone = backbone

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Logits per head: (B, 3, H, W) to {task: (B, C_t)}."""
        return super().forward(self.backbone(images))

    def parameter_groups(self, weight_decay: float, layer_decay: float | None) -> list[dict[str, Any]]:
        """Optimiser groups: the backbone's, then the heads' at the full learning rate."""
        return [
            *self.backbone.parameter_groups(weight_decay, layer_decay),
            *super().parameter_groups(weight_decay, layer_decay),
        ]

    def after_backbone(self) -> Heads:
        """The heads, these and no copies, as a network of features that the backbone computed before."""
        return Heads(self.heads)

    def fixed_state(self) -> dict[str, Tensor]:
        """The part of the state that training cannot change: that of a backbone which is frozen whole, else nothing."""
        if not self.backbone.frozen:
            return {}
        return {f"backbone.{name}": value for name, value in self.backbone.state_dict().items()}
