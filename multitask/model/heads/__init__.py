"""Heads: from what an image became to the log-probabilities of one task's labels, one file per idea."""

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
