"""The engines, and the table of them."""

from multitask.inference.engines.base import ENGINES, Engine, EngineSettings, engine_settings
from multitask.inference.engines.onnxruntime import OnnxRuntimeSettings
from multitask.inference.engines.openvino import OpenVinoSettings
from multitask.inference.engines.pytorch import TorchSettings

ENGINES.register(TorchSettings, OnnxRuntimeSettings, OpenVinoSettings)

__all__ = ["ENGINES", "Engine", "EngineSettings", "engine_settings"]
