"""The network: a timm backbone and one head per task."""

from multitask.model.settings import TERMS, AnyTerm, LowRankSettings, NoTermSettings, PairwiseSettings, TermSettings
from multitask.model.sharing import (
    SHARINGS,
    AnySharing,
    BranchSettings,
    FlatSettings,
    SeparateSettings,
    SharedSettings,
    SharingSettings,
)

TERMS.register(LowRankSettings, PairwiseSettings, NoTermSettings)
SHARINGS.register(SharedSettings, FlatSettings, SeparateSettings, BranchSettings)

__all__ = ["SHARINGS", "TERMS", "AnySharing", "AnyTerm", "SharingSettings", "TermSettings"]
