"""Partial sources: images of which only some labels are known, beside those of the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from multitask.config import Config
from multitask.data.sources.several import PartSettings, SeveralSettings
from multitask.errors import UserError
from multitask.recipe.stage import CannotHoldError, Proposal, StagePlan, StageSettings
from multitask.reporting.study.text import time_text
from multitask.settings import Changes, Epochs, PositiveFloat
from multitask.utils.spelling import Name

if TYPE_CHECKING:
    from multitask.recipe.lab import Lab


class PartialSettings(StageSettings):
    """The config with other sources and without: those that it names, or those that the config has beside its target.

    The other sources only train. Of a config that has them already the target alone is proposed, and kept where it is
    ahead.
    """

    name: Literal["partial"] = "partial"
    title: ClassVar[str] = "Partial sources"
    sources: Annotated[dict[Name, PartSettings], Field(min_length=1)] = Field(default={}, validate_default=False)
    """By a name, as in ``data.source.sources``; none where the config has several."""
    target: Name = "target"
    """What the base's own source is then called."""
    weights: dict[Name, Annotated[PositiveFloat, Field(le=1e6)]] = {}
    """How often each source is drawn (``data.sampler: per_source``); none: every image once an epoch."""
    epochs: Epochs | None = None
    """Of a whole run, in place of ``training.epochs``, since an epoch is of all sources' images."""

    def check(self, base: Config) -> None:
        """The base has one source and others are named, or it has several with a target."""
        source = base.data.source
        if isinstance(source, SeveralSettings):
            if source.target is None:
                raise ValueError("data.source.target: must name the source whose images are to be answered")
            for key in ("sources", "weights", "epochs"):
                if getattr(self, key):
                    raise ValueError(f"{key}: would be ignored, since the config itself has several sources")
            self._changed(base)
            return
        if not self.sources:
            raise ValueError("sources: must name other sources, since the config has one")
        if self.target in self.sources:
            raise ValueError(f"target: {self.target!r} is one of the other sources; name it otherwise")
        self._changed(base)

    def _changed(self, config: Config) -> Config:
        try:
            return config.with_changes(self._changes(config))
        except UserError as error:
            raise UserError(_in_own_words(str(error))) from None

    def _changes(self, config: Config) -> Changes:
        source = config.data.source
        if isinstance(source, SeveralSettings):
            assert source.target is not None, "as was checked"
            part = source.sources[source.target]
            found: Changes = {"data.root": part.root, "data.source": part.source.model_dump(mode="json")}
            found |= {"data.crop": part.crop.model_dump(mode="json")} if part.crop is not None else {}
            found |= {"data.fit": part.fit} if part.fit is not None else {}
            found |= {"augment.strength": part.strength} if part.strength is not None else {}
            return found | ({"data.sampler": {"name": "uniform"}} if config.data.sampler.name == "per_source" else {})
        own = {"root": config.data.root, "source": source.model_dump(mode="json")}
        others = {name: part.model_dump(mode="json") for name, part in self.sources.items()}
        several = {"name": "several", "target": self.target, "sources": {self.target: own, **others}}
        sampler: dict[str, Any] = {"name": "per_source", "weights": self.weights}
        return {
            "data.root": "",
            "data.source": several,
            **({"data.sampler": sampler} if self.weights else {}),
            **(config.training.changes_to_length(self.epochs) if self.epochs else {}),
        }

    def check_files(self, base: Config) -> None:
        """The other sources can be read, beside the base's."""
        from multitask.runs.data_module import DataModule

        try:
            DataModule(self._changed(base))
        except UserError as error:
            raise UserError(_in_own_words(str(error))) from None

    def plan(self, lab: Lab, left_s: float) -> StagePlan:
        """Judging the one change."""
        changed = self._changed(lab.config)
        seconds = lab.judged_seconds(changed) + lab.costs.preparing_seconds([changed])
        if seconds > left_s:
            num = lab.costs.num_images(changed)
            raise CannotHoldError(
                f"judging the config with {num:,} images to train on takes about {time_text(seconds)}"
            )
        return StagePlan(seconds, lab.epochs_of(changed))

    def perform(self, lab: Lab, plan: StagePlan) -> Proposal:
        """With the other sources, or without them: there is nothing to pick."""
        several = isinstance(lab.config.data.source, SeveralSettings)
        note = "The config with its target alone, which is kept only where it is ahead." if several else ""
        return Proposal(self._changes(lab.config), (), note)


def _in_own_words(line: str) -> str:
    """What is wrong with the changed config, by the stage's keys where they set what is wrong."""
    for theirs, own in (("data.sampler.weights", "weights"), ("data.source.sources", "sources")):
        if line.startswith(theirs):
            return own + line.removeprefix(theirs)
    return line
