"""Heads: from the features of an image to the log-probabilities of one task's labels, a file each."""

from multitask.model.heads.settings import (
    HEADS,
    AnyNet,
    AttentionSettings,
    CoralSettings,
    CornSettings,
    CosineSettings,
    LinearSettings,
    MLPSettings,
    NetSettings,
)

HEADS.register(LinearSettings, MLPSettings, AttentionSettings, CosineSettings, CornSettings, CoralSettings)

__all__ = [
    "HEADS",
    "AnyNet",
    "AttentionSettings",
    "CoralSettings",
    "CornSettings",
    "CosineSettings",
    "LinearSettings",
    "MLPSettings",
    "NetSettings",
]
