"""Heads: from what a picture became to the log-probabilities of one task's labels, one file per idea."""

from typing import Annotated

from multitask.model.heads.attention import AttentionSettings
from multitask.model.heads.base import NetSettings
from multitask.model.heads.cosine import CosineSettings
from multitask.model.heads.layers import LinearSettings, MLPSettings
from multitask.model.heads.ordinal import CoralSettings, CornSettings
from multitask.settings import variants

AnyNet = Annotated[
    LinearSettings | MLPSettings | AttentionSettings | CosineSettings | CornSettings | CoralSettings,
    *variants("linear"),
]
"""The table of heads: a new one is a class in a file of its own, and a name here."""

__all__ = [
    "AnyNet",
    "AttentionSettings",
    "CoralSettings",
    "CornSettings",
    "CosineSettings",
    "LinearSettings",
    "MLPSettings",
    "NetSettings",
]
