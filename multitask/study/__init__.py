"""Studies: Optuna chooses settings, ``run`` tries them. Below this room nothing imports optuna."""

from multitask.study.head_weights import HeadWeightsEntry
from multitask.study.parameters import (
    ENTRIES,
    AnyEntry,
    CategoricalEntry,
    Entry,
    FloatEntry,
    IntEntry,
)
from multitask.study.pruners import (
    PRUNERS,
    AnyPruner,
    DominatedSettings,
    HyperbandSettings,
    MedianSettings,
    NoPrunerSettings,
    PrunerSettings,
)
from multitask.study.samplers import (
    SAMPLERS,
    AnySampler,
    GPSettings,
    NSGAIISettings,
    RandomSettings,
    SamplerSettings,
    TPESettings,
)

ENTRIES.register(FloatEntry, IntEntry, CategoricalEntry, HeadWeightsEntry)
SAMPLERS.register(TPESettings, RandomSettings, GPSettings, NSGAIISettings)
PRUNERS.register(NoPrunerSettings, MedianSettings, HyperbandSettings, DominatedSettings)

__all__ = [
    "ENTRIES",
    "PRUNERS",
    "SAMPLERS",
    "AnyEntry",
    "AnyPruner",
    "AnySampler",
    "Entry",
    "PrunerSettings",
    "SamplerSettings",
]
