"""The backbone: any timm model, its weights, and which of its stages are trained."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from multitask.errors import UserError
from multitask.model.coverage import check_reads_whole
from multitask.model.creation import create_body
from multitask.model.encoder import Encoded, Encoder, ParameterGroup, Widths
from multitask.model.settings import BackboneSettings
from multitask.model.sizes import is_built_at_other_sizes, refused_size
from multitask.model.stages import add_group_matcher, stages

from timm.layers import DropPath  # isort: skip
from timm.optim import param_groups_layer_decay, param_groups_weight_decay  # isort: skip


class Backbone(Encoder):
    """One trunk: a timm model without its classifier.

    Args:
        settings: which model, weights, frozen stages.
        image_size: height and width in pixels, for the models that must know it when they are built.
        pretrained: False to leave the weights random, because a checkpoint follows.

    Raises:
        UserError: the weights do not fit or cannot be had; the model cannot be built with these settings or this size,
            or does not read images of this size whole.
    """

    def __init__(self, settings: BackboneSettings, image_size: tuple[int, int], pretrained: bool = True) -> None:
        super().__init__()
        body: Any = self._create(settings, image_size, pretrained)  # timm's models share methods but no type
        self.body: Any = body
        self.name = settings.name
        if "pre_logits" not in signature(body.forward_head).parameters:
            raise UserError(f"model.backbone.name: {settings.name} gives maps for other networks to read")
        self._freeze(settings)
        with _recording_drop_rates(body) as rates:
            tried = self._try(settings, image_size)
        if tried.pooled.shape != (1, body.head_hidden_size):
            raise UserError(
                f"model.backbone.options: with them {settings.name} pools no features, which the heads read "
                f"(global_pool), but gives {' x '.join(map(str, tried.pooled.shape[1:]))} numbers of an image"
            )
        places = tried.map
        if pretrained:  # a network whose checkpoint follows was tried when it began
            if settings.drop_path and not any(rates):
                raise UserError(
                    f"model.backbone.drop_path: {settings.drop_path} would be ignored: {settings.name} has no residual "
                    "branch that is dropped; leave it out"
                )
            check_reads_whole(settings, image_size, body)
        self.widths = Widths(body.head_hidden_size, 0 if places is None else places.shape[2])

    def _create(self, settings: BackboneSettings, image_size: tuple[int, int], pretrained: bool) -> nn.Module:
        try:
            return create_body(settings, image_size, pretrained)
        except UserError as error:
            if is_built_at_other_sizes(settings, image_size):
                raise refused_size(settings, image_size, error.__context__ or error) from None
            raise

    def _freeze(self, settings: BackboneSettings) -> None:
        """Freezes stages; whatever timm holds fixed, as sine position embeddings, stays fixed in any case."""
        if settings.freeze not in ("none", 0):
            found = stages(self.body, settings.name, "model.backbone.freeze")
            frozen = len(found) if settings.freeze == "all" else int(settings.freeze)
            if frozen > len(found):
                raise UserError(f"model.backbone.freeze: {settings.name} has {len(found)} stages, found {frozen}")
            names = {name for stage in sorted(found)[:frozen] for name in found[stage]}
            for name, parameter in self.body.named_parameters():
                parameter.requires_grad = parameter.requires_grad and name not in names
        self.note_frozen()

    def note_frozen(self) -> None:
        """Records which modules are not trained; to be called after that changed."""
        self._frozen_modules = [
            module
            for module in self.body.modules()
            if (own := list(module.parameters())) and not any(parameter.requires_grad for parameter in own)
        ]
        self.frozen = not any(parameter.requires_grad for parameter in self.body.parameters())

    def _try(self, settings: BackboneSettings, image_size: tuple[int, int]) -> Encoded:
        """A forward pass of one image: the sizes that a model cannot take are known only to its own code."""
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                return self.forward_features(torch.zeros(1, 3, *image_size))
        except Exception as error:  # whatever a model makes of a size that it was not made for
            raise refused_size(settings, image_size, error) from None
        finally:
            self.train(training)

    def train(self, mode: bool = True) -> Backbone:
        """Training mode for what is trained; frozen modules stay in evaluation mode."""
        super().train(mode)
        for module in self._frozen_modules:
            module.eval()
        return self

    def forward_features(self, images: Tensor) -> Encoded:
        """The pooled features and the map that they are pooled from.

        Args:
            images: (B, 3, H, W), normalised.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features: Tensor | Sequence[Tensor] = self.body.forward_features(images)
            pooled: Tensor = self.body.forward_head(features, pre_logits=True)
        places = self._places(features)
        return Encoded(pooled) if places is None else Encoded(pooled, places, features)  # type: ignore[arg-type]

    def _places(self, features: Tensor | Sequence[Tensor]) -> Tensor | None:
        """(B, N, D) from a model's own order of axes; None of several maps, which some models pool together."""
        if not isinstance(features, Tensor):
            return None
        if features.ndim == 4:
            last = getattr(self.body, "output_fmt", "NCHW") == "NHWC"
            return features.flatten(1, 2) if last else features.flatten(2).transpose(1, 2)
        return features if features.ndim == 3 else features.unsqueeze(1)

    def state_digest(self) -> str:
        """A digest of weights and statistics, whatever file they were loaded from."""
        digest = hashlib.blake2b(digest_size=16)
        for name, value in self.state_dict().items():
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def parameter_groups(self, weight_decay: float, layer_decay: float | None) -> Iterator[ParameterGroup]:
        """Optimiser groups, by timm's groups of the model's layers."""
        keep = self.body.no_weight_decay() if hasattr(self.body, "no_weight_decay") else ()
        if layer_decay is None:
            groups = param_groups_weight_decay(self.body, weight_decay, no_weight_decay_list=keep)
        else:
            add_group_matcher(self.body, self.name, "training.optimizer.layer_decay")
            groups = param_groups_layer_decay(self.body, weight_decay, keep, layer_decay=layer_decay)
        # timm fills an untrained layer's group with nothing, and an optimiser refuses an empty group.
        yield from (group for group in groups if group["params"])


@contextmanager
def _recording_drop_rates(body: nn.Module) -> Iterator[list[float]]:
    """The rates of the modules for stochastic depth that run; some models have them where no branch passes them."""
    rates: list[float] = []
    with ExitStack() as stack:
        for module in body.modules():
            if isinstance(module, DropPath):
                hook = module.register_forward_hook(lambda module, args, output: rates.append(module.drop_prob))
                stack.callback(hook.remove)
        yield rates
