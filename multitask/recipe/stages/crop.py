"""The crop: which part of an image is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from multitask.config import Config
from multitask.data.crop import AnyCrop, CentreSettings, CropSettings, FaceSettings, WholeSettings
from multitask.errors import UserError
from multitask.progress import Progress
from multitask.recipe.stage import Proposal, StagePlan, StageSettings
from multitask.recipe.stages.candidates import AS_IT_STANDS, best_of, plan_of
from multitask.settings import ConfigPath, Epochs
from multitask.utils.spelling import Name

if TYPE_CHECKING:
    from multitask.recipe.lab import Candidate, Lab


class CropStageSettings(StageSettings):
    """Tries crops in short runs: all of the image, its middle, and the face where a detector is named."""

    name: Literal["crop"] = "crop"
    title: ClassVar[str] = "Crop"
    crops: Annotated[dict[Name, AnyCrop], Field(min_length=1)] | None = None
    """By a name of yours; None: the whole image, the middle eight tenths, and with ``detector`` the face."""
    detector: ConfigPath | None = None
    """YuNet's ONNX file, for the face."""
    epochs: Epochs | None = None
    """Of a run that picks; None: half of those of a judged run."""

    def check(self, base: Config) -> None:
        """A detector that nothing uses, and crops that are all as the base's, would be ignored."""
        if self.detector is not None and self.crops is not None:
            raise ValueError("detector: would be ignored beside crops; name it in a crop, as {name: face, model: FILE}")
        if not self._others(base):
            raise ValueError("crops: names no crop but the base's own")

    def check_files(self, base: Config) -> None:
        """A face's detector can be read, and the table has the boxes or eyes that a crop needs."""
        from multitask.runs.data_module import DataModule

        for name, crop in self._others(base).items():
            if not crop.boxed:
                continue
            try:
                data = DataModule(base.with_changes({"data.crop": crop.model_dump(mode="json")}))
                if data.preprocessing.reads_table:
                    data.store.boxes(Progress())
            except UserError as error:
                key = "detector" if self.crops is None else f"crops.{name}"
                raise UserError(f"{key}: {str(error).removeprefix('data.crop.model: ')}") from None

    def _others(self, config: Config) -> dict[str, CropSettings]:
        """The crops but the one that stands."""
        if self.crops is not None:
            named = dict(self.crops)
        else:
            named = {"whole": WholeSettings(), "middle": CentreSettings(left=0.1, top=0.1, right=0.9, bottom=0.9)}
            named |= {} if self.detector is None else {"face": FaceSettings(model=self.detector)}
        return {name: crop for name, crop in named.items() if crop != config.data.crop}

    def _candidates(self, lab: Lab) -> list[Candidate]:
        from multitask.recipe.lab import Candidate

        others = self._others(lab.config)
        changes = {name: {"data.crop": crop.model_dump(mode="json")} for name, crop in others.items()}
        return [Candidate(AS_IT_STANDS, {}), *(Candidate(name, change) for name, change in changes.items())]

    def plan(self, lab: Lab, left_s: float) -> StagePlan:
        """A short run for each crop, and judging one."""
        configs = [lab.config.with_changes(one.changes) for one in self._candidates(lab)]
        return plan_of(lab, configs, self.epochs, left_s, f"{len(configs)} crops in short runs")

    def perform(self, lab: Lab, plan: StagePlan) -> Proposal:
        """The crop that is best on the groups that pick."""
        return best_of(lab, self.name, self._candidates(lab), plan)
