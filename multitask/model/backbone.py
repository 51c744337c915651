"""The backbone: any timm model, its weights, and which of its stages are trained."""

from __future__ import annotations

import hashlib
import logging
import pickle
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from multitask.errors import UserError
from multitask.model.encoded import Encoded, Encoder, Widths
from multitask.model.settings import BackboneSettings
from multitask.model.vision_ops import timm

from timm.models import clean_state_dict, group_parameters  # isort: skip
from timm.optim import param_groups_layer_decay, param_groups_weight_decay  # isort: skip


logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries would fill the screen before our one line


def _read_weights(path: Path) -> dict[str, Tensor]:
    """A file of tensors. Nothing in it is run: a pickle is read by torch's reader of plain tensors only."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises whatever a damaged file makes of it
        reason = _first_line(error)
        if isinstance(error, pickle.UnpicklingError):  # torch's message explains how to run what the file holds
            reason = "it is no file of plain tensors"
        raise UserError(f"model.backbone.weights: {path} holds no weights that can be read safely: {reason}") from None
    for key in ("state_dict_ema", "state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"model.backbone.weights: {path} must hold a state dict of tensors")
    return clean_state_dict(state)


class _Missing(logging.Handler):
    """Hears from timm, which says it nowhere else, what a weights file did not hold."""

    _LOGGER = logging.getLogger("timm.models._builder")

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.names: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Called for each of timm's messages."""
        found = re.match(r"Missing keys \((.+?)\)", record.getMessage())
        if found:
            self.names += found[1].split(", ")

    def __enter__(self) -> _Missing:
        self._before = self._LOGGER.level, self._LOGGER.propagate
        self._LOGGER.setLevel(logging.INFO)
        self._LOGGER.propagate = False  # its warnings of what we refuse or do not need would fill the screen
        self._LOGGER.addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        self._LOGGER.removeHandler(self)
        self._LOGGER.setLevel(self._before[0])
        self._LOGGER.propagate = self._before[1]


def _create(settings: BackboneSettings, image_size: tuple[int, int], pretrained: bool) -> nn.Module:
    """timm's model without a classifier, built for the image size, with its weights."""
    options = dict(settings.options)
    if settings.drop_path is not None:
        options["drop_path_rate"] = settings.drop_path
    config = timm.get_pretrained_cfg(settings.name)
    if config is not None and config.fixed_input_size:
        options["img_size"] = image_size
    overlay = None
    if pretrained and settings.weights not in ("none", "hub"):
        overlay = {"state_dict": _read_weights(Path(settings.weights))}
    try:
        with _Missing() as missing:
            # timm fits a checkpoint to the model: it drops the classifier and resamples position embeddings.
            body: nn.Module = timm.create_model(
                settings.name,
                pretrained=pretrained and settings.weights != "none",
                pretrained_cfg_overlay=overlay,
                num_classes=0,
                **options,
            )
    except UserError:
        raise
    except TypeError as error:
        raise UserError(f"model.backbone.options: {settings.name} does not take them: {error}") from None
    except Exception as error:
        if not pretrained or settings.weights == "none":
            raise UserError(f"model.backbone: {settings.name} cannot be built: {_first_line(error)}") from None
        if settings.weights == "hub":
            raise UserError(
                f"model.backbone.weights: the hub's weights of {settings.name} cannot be had ({_first_line(error)}); "
                "use a local file, or none"
            ) from None
        raise UserError(
            f"model.backbone.weights: {settings.weights} does not fit {settings.name}: {_first_line(error)}"
        ) from None
    if overlay and missing.names:  # timm leaves them random
        raise UserError(
            f"model.backbone.weights: {settings.weights} does not fit {settings.name}: it lacks "
            f"{len(missing.names)} of {len(body.state_dict())} tensors, as {missing.names[0]!r}"
        )
    return body


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    text = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return text if len(text) <= 300 else text[:297] + "..."


class Backbone(Encoder):
    """One trunk: a timm model without its classifier.

    Args:
        settings: which model, weights, frozen stages.
        image_size: height and width in pixels, for the models that must know it when they are built.
        pretrained: False to leave the weights random, because a checkpoint follows.

    Raises:
        UserError: the weights do not fit or cannot be had; the model cannot be built with these settings or this size.
    """

    def __init__(self, settings: BackboneSettings, image_size: tuple[int, int], pretrained: bool = True) -> None:
        super().__init__()
        body: Any = _create(settings, image_size, pretrained)  # timm's models share methods but no type
        self.body: Any = body
        self._freeze(settings)
        places = self._try(settings, image_size).map
        self.widths = Widths(body.head_hidden_size, 0 if places is None else places.shape[2])

    def _freeze(self, settings: BackboneSettings) -> None:
        stages = group_parameters(self.body, self.body.group_matcher(coarse=True))
        frozen = {"none": 0, "all": len(stages)}.get(str(settings.freeze), settings.freeze)
        assert isinstance(frozen, int)
        if frozen > len(stages):
            raise UserError(f"model.backbone.freeze: {settings.name} has {len(stages)} stages, found {frozen}")
        names = {name for stage in sorted(stages)[:frozen] for name in stages[stage]}
        for name, parameter in self.body.named_parameters():
            parameter.requires_grad = name not in names
        self.note_frozen()

    def note_frozen(self) -> None:
        """Takes note of what is not trained, after it has changed."""
        self._frozen_modules = [
            module
            for module in self.body.modules()
            if (own := list(module.parameters())) and not any(parameter.requires_grad for parameter in own)
        ]
        self.frozen = not any(parameter.requires_grad for parameter in self.body.parameters())

    def _try(self, settings: BackboneSettings, image_size: tuple[int, int]) -> Encoded:
        """One picture through: the sizes that a model cannot take are known only to its own code."""
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                return self.encode(torch.zeros(1, 3, *image_size))
        except (RuntimeError, AssertionError, ValueError) as error:
            height, width = image_size
            raise UserError(
                f"data.image_size: {settings.name} cannot take {height} x {width} px: {_first_line(error)}"
            ) from None
        finally:
            self.train(training)

    def train(self, mode: bool = True) -> Backbone:
        """Training mode for what is trained; frozen modules stay in evaluation mode."""
        super().train(mode)
        for module in self._frozen_modules:
            module.eval()
        return self

    def encode(self, images: Tensor) -> Encoded:
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
        """(B, N, D) of a model's own order of axes; None of several maps, which some models pool together."""
        if not isinstance(features, Tensor):
            return None
        if features.ndim == 4:
            last = getattr(self.body, "output_fmt", "NCHW") == "NHWC"
            return features.flatten(1, 2) if last else features.flatten(2).transpose(1, 2)
        return features if features.ndim == 3 else features.unsqueeze(1)

    def state_digest(self) -> str:
        """A digest of weights and statistics: of what was loaded, wherever it came from."""
        digest = hashlib.blake2b(digest_size=16)
        for name, value in self.state_dict().items():
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def parameter_groups(self, weight_decay: float, layer_decay: float | None) -> Iterator[dict[str, Any]]:
        """As timm groups the model's layers."""
        keep = self.body.no_weight_decay() if hasattr(self.body, "no_weight_decay") else ()
        if layer_decay is None:
            groups = param_groups_weight_decay(self.body, weight_decay, no_weight_decay_list=keep)
        else:
            groups = param_groups_layer_decay(self.body, weight_decay, keep, layer_decay=layer_decay)
        # timm fills an untrained layer's group with nothing, and an optimiser refuses an empty group.
        yield from (group for group in groups if group["params"])
