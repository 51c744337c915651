"""Recipes: stages that better a config one after the other, each kept only where groups that picked nothing say so."""

from multitask.recipe.stage import STAGES, AnyStage, StageSettings
from multitask.recipe.stages.baseline import BaselineSettings
from multitask.recipe.stages.crop import CropStageSettings
from multitask.recipe.stages.ensemble import EnsembleStageSettings
from multitask.recipe.stages.final import FinalStageSettings
from multitask.recipe.stages.folds import FoldsStageSettings
from multitask.recipe.stages.partial import PartialSettings
from multitask.recipe.stages.pseudo import PseudoStageSettings
from multitask.recipe.stages.study import StudyStageSettings
from multitask.recipe.stages.views import ViewsStageSettings

STAGES.register(
    BaselineSettings,
    CropStageSettings,
    PartialSettings,
    StudyStageSettings,
    FoldsStageSettings,
    PseudoStageSettings,
    ViewsStageSettings,
    EnsembleStageSettings,
    FinalStageSettings,
)

__all__ = ["STAGES", "AnyStage", "StageSettings"]
