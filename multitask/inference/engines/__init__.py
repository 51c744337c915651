"""The engines, and the table of them."""

from multitask.inference.engines.base import ENGINES, Engine, EngineSettings
from multitask.inference.engines.pytorch import TorchSettings

ENGINES.register(TorchSettings)

__all__ = ["ENGINES", "Engine", "EngineSettings"]
