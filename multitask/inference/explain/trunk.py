"""A forward pass of a network that keeps what evidence is read from: features, attention and the graph between."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from multitask.model.backbone import Backbone
from multitask.model.encoder import Encoded, Encoder, Trunks
from multitask.model.network import Network

Size = tuple[int, int]


@dataclass(frozen=True)
class Trunk:
    """One trunk after a forward pass.

    Attributes:
        images: (B, 3, H, W), the network's input; it has a gradient.
        encoded: the trunk's features.
        grid: rows and columns of the places of its last feature map; None where it has no map of places.
        by_token: whether a token of its own is pooled rather than the places, as the class token of a ViT: the places
            of the last map then have no gradient.
        channels_last: whether a four-dimensional map is (B, h, w, D) rather than (B, D, h, w).
        attention: (B, heads, queries, N) weights of the last attention layer, where ``by_token``; None where the
            model does not say them.
    """

    images: Tensor
    encoded: Encoded
    grid: Size | None
    by_token: bool
    channels_last: bool
    attention: Tensor | None

    def to_grid(self, places: Tensor) -> Tensor:
        """(B, N) values of the places, tokens before them included, to (B, h, w)."""
        assert self.grid is not None
        found: Tensor = places[:, -math.prod(self.grid) :].unflatten(1, self.grid)
        return found


@dataclass(frozen=True)
class ForwardPass:
    """A network's outputs, with what they were made of.

    Attributes:
        trunks: each once.
        by_head: the trunk that each head reads.
        heads: the heads' modules.
        log_probs: per head (B, C_t), and (B, C) ``joint`` where there is a joint term; with a graph.
    """

    trunks: tuple[Trunk, ...]
    by_head: Mapping[str, Trunk]
    heads: Mapping[str, nn.Module]
    log_probs: dict[str, Tensor]


def prepare(network: Network) -> None:
    """Makes ready a network that does nothing but explain: no gradients of weights, but of features in every case.

    A fused attention layer never has its weights in memory; where they will be read, it computes them.
    """
    network.requires_grad_(False)
    for backbone, _ in _backbones(network.backbone, ()):
        if backbone is not None:
            backbone.frozen = False  # else its features come without a graph
            if _by_token(backbone.body):
                for module in backbone.body.modules():
                    if getattr(module, "fused_attn", False) is True:
                        module.fused_attn = False


def forward(network: Network, images: Tensor) -> ForwardPass:
    """A forward pass of a network that was prepared.

    Args:
        network: in evaluation mode.
        images: (B, 3, H, W), normalised.
    """
    images = images.detach().requires_grad_()
    found = _backbones(network.backbone, tuple(network.heads))
    with ExitStack() as stack:
        recorded = [{} if one is None else stack.enter_context(_recording(one.body)) for one, _ in found]
        encoded = network.forward_features(images)
    trunks: list[Trunk] = []
    by_head: dict[str, Trunk] = {}
    for (backbone, names), attention in zip(found, recorded, strict=True):
        trunk = _trunk(images, encoded.of(names[0]), backbone, attention.get("last"))
        trunks.append(trunk)
        by_head |= dict.fromkeys(names, trunk)
    return ForwardPass(tuple(trunks), by_head, dict(network.heads.items()), network.forward_heads(encoded))


def _backbones(encoder: Encoder, heads: Sequence[str]) -> list[tuple[Backbone | None, Sequence[str]]]:
    """The trunks with the heads that read them; None for one of another kind than timm's."""
    if isinstance(encoder, Trunks):
        each = zip(encoder.trunks, encoder.tasks, strict=True)
        return [(trunk if isinstance(trunk, Backbone) else None, names) for trunk, names in each]
    return [(encoder if isinstance(encoder, Backbone) else None, heads)]


def _by_token(body: Any) -> bool:
    return getattr(body, "global_pool", None) == "token"


@contextmanager
def _recording(body: Any) -> Iterator[dict[str, Tensor]]:
    """Keeps, as ``last``, the weights of the attention layer that runs last, where a token is pooled."""
    kept: dict[str, Tensor] = {}

    def hook(module: nn.Module, args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            kept["last"] = output

    with ExitStack() as stack:
        if _by_token(body):
            for name, module in body.named_modules():
                if name.rpartition(".")[2] == "attn_drop":  # what timm's layers pass their weights through
                    stack.callback(module.register_forward_hook(hook).remove)
        yield kept


def _trunk(images: Tensor, encoded: Encoded, backbone: Backbone | None, attention: Tensor | None) -> Trunk:
    body = None if backbone is None else backbone.body
    channels_last = getattr(body, "output_fmt", "NCHW") == "NHWC"
    grid = None if encoded.features is None else _grid(encoded.features, channels_last, body, images.shape[-2:])
    if attention is not None and (encoded.map is None or attention.shape[-1] != encoded.map.shape[1]):
        attention = None  # over something else than the last map's places
    return Trunk(images, encoded, grid, _by_token(body), channels_last, attention)


def _grid(features: Tensor, channels_last: bool, body: Any, size: Sequence[int]) -> Size | None:
    """Rows and columns of a feature map; of tokens, as the model cuts the image into patches."""
    if features.ndim == 4:
        rows, columns = features.shape[1:3] if channels_last else features.shape[2:]
        return (rows, columns) if rows * columns > 1 else None
    if features.ndim != 3:
        return None
    patches: Any = getattr(body, "patch_embed", None)
    if hasattr(patches, "dynamic_feat_size"):
        rows, columns = patches.dynamic_feat_size(tuple(size))
    else:
        rows, columns = getattr(patches, "grid_size", None) or (0, 0)
    num_tokens = features.shape[1] - getattr(body, "num_prefix_tokens", 0)
    return (rows, columns) if rows * columns == num_tokens > 1 else None


def detached(log_probs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Outputs without their graph."""
    with torch.no_grad():
        return {name: values.detach().float() for name, values in log_probs.items()}
