"""From files to batches: sources, splits, images, augmentation, loading."""

from multitask.data.align import AlignSettings
from multitask.data.crop import CROPS, AnyCrop, BoxSettings, CentreSettings, CropSettings, FaceSettings, WholeSettings
from multitask.data.samplers import (
    SAMPLERS,
    AnySampler,
    ClassWeightedSettings,
    GroupsBalancedSettings,
    PerGroupSettings,
    PerSourceSettings,
    SamplerSettings,
    StreamSettings,
    UniformSettings,
)

CROPS.register(WholeSettings, CentreSettings, BoxSettings, FaceSettings, AlignSettings)
SAMPLERS.register(
    UniformSettings,
    ClassWeightedSettings,
    PerSourceSettings,
    GroupsBalancedSettings,
    PerGroupSettings,
    StreamSettings,
)

__all__ = ["CROPS", "SAMPLERS", "AnyCrop", "AnySampler", "CropSettings", "SamplerSettings"]
