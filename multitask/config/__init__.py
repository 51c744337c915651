"""The config of a run: every component's section in one file, checked whole."""

from multitask.config.checks import scored_metrics
from multitask.config.config import Config, HeadSettings, JointSettings
from multitask.config.reading import load_config, read_config, stored_config

__all__ = [
    "Config",
    "HeadSettings",
    "JointSettings",
    "load_config",
    "read_config",
    "scored_metrics",
    "stored_config",
]
