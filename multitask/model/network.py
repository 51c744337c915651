"""The network: what the tasks share, and a head for every task that is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from multitask.labels import JOINT, LabelSpace
from multitask.model.encoder import Encoded, Encoder, ParameterGroup
from multitask.model.feature_rows import FeatureRows
from multitask.model.heads import NetSettings
from multitask.model.partly_frozen import TrainedStages, shallow_copy
from multitask.model.settings import TermSettings
from multitask.model.source_statistics import BatchSources
from multitask.model.vision_ops import timm


class ByTask(nn.ModuleDict):
    """Modules by task, whatever the task's name: ``nn.ModuleDict`` refuses ``type``, ``keys`` and its other methods'.

    Args:
        modules: per task.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__(modules)

    def __setitem__(self, key: str, module: nn.Module) -> None:
        """Sets by key alone, never as an attribute, so that no name can hide a method."""
        self._modules[key] = module

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # ``training`` is the flag, whatever the tasks are called


class Heads(nn.Module):
    """From features to the log-probabilities of every head.

    Args:
        heads: by task; each ``Encoded`` images to (B, C_t) log-probabilities.
        joint: the joint term, where there is one: ``Encoded`` images and the heads' answers to (B, C).
        rows: of the features that stand for images; None: they are the pooled ones, (B, F).
    """

    batch_sources: BatchSources | None = None
    """The sources of each training batch, where its batch norms keep statistics per source."""

    def __init__(self, heads: ByTask, joint: nn.Module | None = None, rows: FeatureRows | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.joint = joint
        self._rows = rows

    def forward_features(self, inputs: Tensor) -> Encoded:
        """The features that the heads read, of (B, ...) rows that were computed before."""
        return Encoded(inputs) if self._rows is None else self._rows.unpack(inputs)

    def forward_heads(self, encoded: Encoded) -> dict[str, Tensor]:
        """Log-probabilities: per head (B, C_t), and (B, C) ``joint`` where there is a joint term."""
        answers: dict[str, Tensor] = {name: head(encoded.of(name)) for name, head in self.heads.items()}
        if self.joint is not None:
            answers[JOINT] = self.joint(encoded, answers)
        return answers

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """``forward_heads`` of ``forward_features``."""
        return self.forward_heads(self.forward_features(inputs))

    def shared(self, encoded: Encoded) -> Tensor | None:
        """The features that all the heads read comes from, (B, ...), and that a gradient goes on from; None where there
        are none.
        """
        return None

    def last_layer(self) -> Sequence[Tensor]:
        """The weights of the last layer that all heads share and that is trained; none where there is none."""
        return []

    def parameter_groups(self, weight_decay: float, layer_decay: float | None) -> list[ParameterGroup]:
        """Optimiser groups, at the full learning rate whatever the layers' decay."""
        modules = nn.ModuleList([self.heads] if self.joint is None else [self.heads, self.joint])
        groups = timm.optim.param_groups_weight_decay(modules, weight_decay)
        return [group | {"lr_scale": 1.0} for group in groups if group["params"]]


class Network(Heads):
    """Images to the log-probabilities of every head.

    Args:
        backbone: from images to the features that the heads read.
        space: the label space that is learned; one head for each of its tasks.
        nets: the heads' settings, by task.
        joint: the joint term's settings; None: there is none.
    """

    def __init__(
        self, backbone: Encoder, space: LabelSpace, nets: Mapping[str, NetSettings], joint: TermSettings | None = None
    ) -> None:
        super().__init__(
            ByTask({task.name: nets[task.name].build(backbone.widths, task) for task in space.tasks}),
            None if joint is None else joint.build(backbone.all_widths, space),
        )
        self.backbone = backbone
        self._one_trunk = backbone.num_trunks == 1
        self._map_is_read = any(nets[name].reads_map for name in space.task_names)

    def forward_features(self, inputs: Tensor) -> Encoded:
        """The features of (B, 3, H, W) images, normalised."""
        return self.backbone.forward_features(inputs)

    def shared(self, encoded: Encoded) -> Tensor | None:
        """The pooled ones; what they and the map are made of where a head reads the map; none of several trunks."""
        features = encoded.features if self._map_is_read else encoded.pooled
        return features if self._one_trunk and features is not None and features.requires_grad else None

    def last_layer(self) -> Sequence[Tensor]:
        """The backbone's, where its pooled features are all that any head reads; a map leads past what pools it."""
        if not self._one_trunk or self._map_is_read:
            return []
        return [weight for weight in self.backbone.parameters() if weight.requires_grad and weight.ndim > 1][-1:]

    def parameter_groups(self, weight_decay: float, layer_decay: float | None) -> list[ParameterGroup]:
        """Optimiser groups: the backbone's, then the heads' at the full learning rate."""
        return [
            *self.backbone.parameter_groups(weight_decay, layer_decay),
            *super().parameter_groups(weight_decay, layer_decay),
        ]

    def after_backbone(self, rows: FeatureRows | None = None) -> Heads:
        """The heads, these and no copies, as a network of features that the backbone computed before.

        Args:
            rows: of those features; None: they are the pooled ones alone.
        """
        return Heads(self.heads, self.joint, rows)

    def after_frozen(self, stages: TrainedStages) -> Network:
        """The trained stages and the heads, these and no copies, as a network of what the frozen stages gave before."""
        after = shallow_copy(self)
        after._modules["backbone"] = stages
        return after

    def fixed_state(self, trained: nn.Module) -> dict[str, Tensor]:
        """The part of the state that training cannot change: of a backbone that is frozen whole, and what is not there.

        Args:
            trained: the network that is trained: this one, or what comes after a part of it that is frozen.
        """
        kept = trained.state_dict()
        return {
            name: value
            for name, value in self.state_dict().items()
            if name not in kept or (self.backbone.frozen and name.startswith("backbone."))
        }
