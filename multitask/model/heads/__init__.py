"""Heads: from what a picture became to the log-probabilities of one task's labels, one file per idea."""

from multitask.model.heads.settings import (
    AnyNet,
    AttentionSettings,
    CoralSettings,
    CornSettings,
    CosineSettings,
    LinearSettings,
    MLPSettings,
    NetSettings,
)

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
