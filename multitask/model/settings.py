"""The settings of the backbone and of joint terms, which a config is checked by without torch."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from multitask.errors import nearest
from multitask.labels import LabelSpace
from multitask.model import timm_names
from multitask.settings import Count, Float, PositiveFloat, PositiveInt, Settings, Table, Width, resolve_path

if TYPE_CHECKING:
    from torch import nn

    from multitask.model.encoder import Widths
    from multitask.model.joint import JointTerm


def _weights(value: object, info: ValidationInfo) -> object:
    if value is None or value in ("none", "hub"):
        return "none" if value is None else str(value)
    return resolve_path(value, info)


_OWN_OPTIONS = {
    "drop_path_rate": "; set drop_path",
    "img_size": "; set data.image_size",
    "device": "; set device",
    "dtype": "; set training.precision",
    **dict.fromkeys(("num_classes", "in_chans", "features_only", "out_indices", "feature_cls", "feature_cfg"), ""),
    # What timm's factory takes for itself and no model hears of.
    **dict.fromkeys(("model_name", "model_cls", "model_cfg", "variant", "kwargs_filter", "pruned"), ""),
    **dict.fromkeys(("scriptable", "exportable", "no_jit"), ""),
}
"""Options that are not the user's to set, and where what they mean is set."""
_LOADS = re.compile(r"pretrained|checkpoint|state_dict|(^|_)(file|filename|url|dir|cache|hub|hf)(_|$)", re.IGNORECASE)
"""Options that could make timm read a file or download one: what is loaded is said by ``weights`` alone."""


def _keys(value: object) -> Iterator[str]:
    """The keys at every depth of plain data."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _keys(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _keys(item)


class FeaturesSettings(Settings):
    """The ``model.backbone.features`` section: what a backbone's frozen stages make of the images, kept on disk.

    Stages that follow, as the last blocks of a ViT, are trained on it (``freeze`` less than all of them). It is kept
    where ``data.cache_dir`` says, for single runs, studies and bake-offs alike.
    """

    views: Annotated[PositiveInt, Field(le=100)] = 1
    """How many there are of each image: the plain one, which alone validates, and augmented ones. Training draws one
    of them each epoch."""
    seed: Count | None = None
    """Of the augmented views; None: the config's, so that runs with other seeds compute views of their own. One that is
    named is shared by the seeds of a bake-off, of a recipe's judges or of a study's confirmation."""
    storage: Literal["exact", "half"] = "exact"
    """``half``: float16, in half of the space; scores then differ by rounding."""

    @model_validator(mode="after")
    def _check(self) -> FeaturesSettings:
        if self.seed is not None and self.views == 1:
            raise ValueError(
                f"seed: {self.seed} would be ignored: the one view is the plain image; set views to 2 or more"
            )
        return self


class BackboneSettings(Settings):
    """The ``model.backbone`` section."""

    name: str = "mobilenetv2_100"
    """Any name of ``timm.list_models()``."""
    weights: Annotated[str, BeforeValidator(_weights), Field(min_length=1)] = "hub"
    """``none`` (random), ``hub`` (timm's own, downloaded), or a file (.safetensors, or .pth holding tensors only): of
    this network alone, or as timm's saver, Lightning or DDP wrap it, or a run's own checkpoint."""
    freeze: Literal["none", "all"] | Annotated[Count, Field(le=1000)] = "none"
    """``all``, or how many stages from the input on, the stem being the first; a frozen stage also keeps its
    normalisation statistics."""
    features: FeaturesSettings | None = None
    """None: those of a backbone that is frozen whole are kept by studies and bake-offs alone, and where nothing is
    augmented."""
    drop_path: Annotated[Float, Field(ge=0, lt=1)] | None = None
    """Stochastic depth; None: as timm builds the model."""
    mean: tuple[Float, Float, Float] | None = None
    """The mean by which pixels (0 to 1, RGB) are normalised; None: that with which the backbone was pretrained."""
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None
    """The standard deviation beside ``mean``."""
    options: dict[str, Any] = {}
    """Passed to timm as they are, as ``pad_type: same``; none that loads a file. ``dynamic_img_pad: true`` lets a ViT
    pad images that its patch does not divide."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        model = name.split(".")[0]
        if not timm_names.is_model(model):
            raise ValueError(f"timm has no model {name!r}{nearest(name, timm_names.model_names())}")
        if not timm_names.has_weights(name):
            raise ValueError(f"timm has no weights {name!r}{nearest(name, timm_names.pretrained_names(model))}")
        return name

    @model_validator(mode="after")
    def _check(self) -> BackboneSettings:
        for key in _keys(self.options):
            if _LOADS.search(key):
                raise ValueError(f"options cannot set {key!r}; what is loaded is said by weights")
        for key, value in self.options.items():
            if key in _OWN_OPTIONS:
                raise ValueError(f"options cannot set {key!r}{_OWN_OPTIONS[key]}")
            if value is None:
                raise ValueError(f"options.{key}: has no value and would be ignored; leave it out")
        if self.weights not in ("none", "hub") and not os.path.isfile(self.weights):
            raise ValueError(f"weights must be none, hub or a file; there is no file {self.weights}")
        if self.weights == "none" and self.freeze not in ("none", 0):
            raise ValueError(f"freeze: {self.freeze} would keep random weights; load weights or train all")
        if self.features is not None and self.freeze in ("none", 0):
            raise ValueError(
                f"features: would be ignored, since freeze is {self.freeze}; use all or how many stages, "
                "or leave it out"
            )
        return self

    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation per channel, of pixels from 0 to 1."""
        from multitask.model.vision_ops import timm

        pretrained = timm.get_pretrained_cfg(self.name)
        default_mean, default_std = (pretrained.mean, pretrained.std) if pretrained else ((0.5,) * 3, (0.5,) * 3)
        return tuple(self.mean or default_mean), tuple(self.std or default_std)


class TermSettings(Settings):
    """The settings of a joint term, which build its module."""

    name: str

    @abstractmethod
    def residual(self, widths: Widths, space: LabelSpace) -> nn.Module:
        """The module from (B, F) pooled features to (B, C) residuals, all 0 at first."""

    def build(self, widths: Widths, space: LabelSpace) -> JointTerm:
        """The joint term of heads that learn this label space."""
        from multitask.model.joint import JointTerm

        return JointTerm(space, self.residual(widths, space))


TERMS: Table[TermSettings] = Table("joint term", TermSettings, default="low_rank")
"""The table of joint terms; its rows stand in the package's ``__init__``."""

AnyTerm = Annotated[TermSettings, TERMS]


class LowRankSettings(TermSettings):
    """R(x, y) = u(x) . v(y) + b(y), with u linear in the pooled features of x, u and v of ``rank`` numbers each."""

    name: Literal["low_rank"] = "low_rank"
    rank: Width = 8

    def residual(self, widths: Widths, space: LabelSpace) -> nn.Module:
        """Two linear layers, of which the second begins at 0."""
        from torch import nn

        from multitask.model.joint import zeroed

        return nn.Sequential(
            nn.Linear(widths.pooled, self.rank, bias=False), zeroed(nn.Linear(self.rank, space.num_classes))
        )


class PairwiseSettings(TermSettings):
    """R(x, y) = the sum over every two tasks s < t of A_st(x)[y_s, y_t]: no interaction of three tasks.

    A_st (C_s, C_t) is linear in the pooled features of x; y_t is the label of task t in class y.
    """

    name: Literal["pairwise"] = "pairwise"

    def residual(self, widths: Widths, space: LabelSpace) -> nn.Module:
        """One linear layer for each pair of tasks, which begins at 0."""
        from multitask.model.joint import Pairwise

        return Pairwise(widths.pooled, space)


class NoTermSettings(TermSettings):
    """The tasks as independent given the image; for a joint loss on the factored model."""

    name: Literal["none"] = "none"

    def residual(self, widths: Widths, space: LabelSpace) -> nn.Module:
        """A module without parameters that gives 0."""
        from multitask.model.joint import Nothing

        return Nothing(space.num_classes)
