"""The members of an ensemble of runs, and how they are mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from multitask.config import Config
from multitask.data.tiles import TileSettings
from multitask.runs.config import TrainedRun, load_run_config
from multitask.runs.folder import RunFolder
from multitask.utils.records import Count, Score, read_record

if TYPE_CHECKING:
    from multitask.model.opinion_pool import OutputForm


@dataclass(frozen=True, kw_only=True)
class EnsembleRecord:
    """``ensemble.json``: how the members of an ensemble are mixed.

    Attributes:
        version: of the file.
        vote: ``soft``: their probabilities are pooled; ``hard``: each votes for a label.
        weighting: of a pool: ``fitted`` by the log-loss of what they answered unseen, or ``equal``.
        members: the folders that they were copied from.
        base: the one whose names images have, and on whose config the ensemble's is based.
        weights: per output of the ensemble, that of each member.
    """

    version: int = 1
    vote: Literal["soft", "hard"]
    weighting: Literal["fitted", "equal"]
    members: Annotated[tuple[str, ...], Field(min_length=2)]
    base: Count
    weights: dict[str, tuple[Score, ...]]

    def __post_init__(self) -> None:
        if self.base >= len(self.members):
            raise ValueError("base: there is no such member")
        if any(len(row) != len(self.members) for row in self.weights.values()):
            raise ValueError("weights: are not of as many members as there are")

    @property
    def mixing(self) -> Mapping[str, Sequence[float]] | None:
        """The weights, as ``combine`` takes them."""
        return None if self.vote == "hard" else self.weights


def read_ensemble(folder: RunFolder) -> EnsembleRecord:
    """How the members of an ensemble are mixed.

    Raises:
        UserError: the record cannot be read, or is damaged.
    """
    return read_record(folder.ensemble, EnsembleRecord)


def ensemble_parts(trained: TrainedRun) -> list[TrainedRun]:
    """The members of an ensemble, each a run or a run in folds; none where it is no ensemble.

    They compute on the device of the ensemble's config, and where that has another data root than its file has, they
    have it too.
    """
    folder, config = trained
    if not folder.is_ensemble:
        return []
    parts = []
    root = load_run_config(folder).data.root
    for index in range(len(read_ensemble(folder).members)):
        part = folder.member(index)
        own = load_run_config(part)
        changes = {"device": config.device}
        if config.data.root != root and own.data.root == root:
            changes["data.root"] = config.data.root
        parts.append(TrainedRun(part, own.with_changes(changes)))
    return parts


def ensemble_form(config: Config) -> OutputForm:
    """The outputs of an ensemble, by its config."""
    from multitask.model.opinion_pool import OutputForm

    return OutputForm(config.learned_space(), config.evaluation().joint_term)


def distinct_tiles(parts: Sequence[TrainedRun]) -> tuple[list[TileSettings], list[int]]:
    """The different ways in which members see an image, and which of them is each member's."""
    tiles: list[TileSettings] = []
    places = []
    for _, config in parts:
        tile = TileSettings.of(config.data)
        if tile not in tiles:
            tiles.append(tile)
        places.append(tiles.index(tile))
    return tiles, places
