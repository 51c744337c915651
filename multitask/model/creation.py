"""Creation of timm models from a config's settings."""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import torch
from torch import nn

from multitask.errors import UserError, first_line
from multitask.model.hub import no_vain_retries
from multitask.model.settings import BackboneSettings
from multitask.model.vision_ops import timm
from multitask.model.weights import read_weights, unwrapped
from multitask.utils.quiet import only_errors


class _Missing(logging.Handler):
    """A log handler that collects the names that a weights file lacks, which timm only logs."""

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


def create_body(settings: BackboneSettings, image_size: tuple[int, int], pretrained: bool) -> nn.Module:
    """timm's model without a classifier, built for the image size, with its weights.

    Raises:
        UserError: it cannot be built with these settings, or the weights do not fit or cannot be had.
    """
    options = _options(settings, image_size)
    overlay = None
    if pretrained and settings.weights not in ("none", "hub"):
        path = Path(settings.weights)
        state = read_weights(path)
        overlay = {"state_dict": unwrapped(state, _tensor_names(settings.name, _Options(options)), path)}
    unreached = ""
    try:
        # Of the hub, retries would fill the screen before our one line.
        with _Missing() as missing, only_errors("huggingface_hub"), ExitStack() as while_loading:
            if pretrained and settings.weights == "hub":
                unreached = while_loading.enter_context(no_vain_retries())
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
        if settings.drop_path is not None and "'drop_path_rate'" in str(error):
            raise UserError(f"model.backbone.drop_path: {settings.name} does not take it; leave it out") from None
        raise UserError(f"model.backbone.options: {settings.name} does not take them: {error}") from None
    except Exception as error:
        if not pretrained or settings.weights == "none":
            raise UserError(f"model.backbone: {settings.name} cannot be built: {first_line(error)}") from None
        if settings.weights == "hub":
            raise UserError(
                f"model.backbone.weights: the hub's weights of {settings.name} cannot be had "
                f"({unreached or first_line(error)}); use a local file, or none"
            ) from None
        raise UserError(
            f"model.backbone.weights: {settings.weights} does not fit {settings.name}: {first_line(error)}"
        ) from None
    if overlay and missing.names:  # timm leaves them random
        raise UserError(
            f"model.backbone.weights: {settings.weights} does not fit {settings.name}: it lacks "
            f"{len(missing.names)} of {len(body.state_dict())} tensors, as {missing.names[0]!r}"
        )
    return body


def _options(settings: BackboneSettings, image_size: tuple[int, int]) -> dict[str, object]:
    """The keyword arguments of timm's ``create_model``."""
    options: dict[str, object] = dict(settings.options)
    if settings.drop_path is not None:
        options["drop_path_rate"] = settings.drop_path
    if options.get("dynamic_img_pad"):  # timm's ViTs pad, but only the other key lets them take the padded size
        options.setdefault("dynamic_img_size", True)
    if is_fixed_size(settings):
        options["img_size"] = image_size
    return options


def is_fixed_size(settings: BackboneSettings) -> bool:
    """Whether the model is built for one size of images."""
    config = timm.get_pretrained_cfg(settings.name)
    return config is not None and bool(config.fixed_input_size)


class _Options(dict[str, object]):
    """Options that a cache can tell apart."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(self))


@cache
def _tensor_names(name: str, options: _Options) -> frozenset[str]:
    """The names in the model's state; none where it cannot be built, which ``create_body`` then reports."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            return frozenset(timm.create_model(name, num_classes=0, **options).state_dict())
    except Exception:
        return frozenset()
