"""Pseudo-labels: unlabelled images are trained on with the labels that heads are sure of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from multitask.config import Config
from multitask.errors import UserError
from multitask.pseudo.settings import PseudoSettings
from multitask.recipe.stage import CannotHoldError, Proposal, StagePlan, StageSettings
from multitask.reporting.study.text import time_text
from multitask.settings import Bool, ConfigPath
from multitask.utils.spelling import plural

if TYPE_CHECKING:
    from multitask.inference.inputs import InputOptions
    from multitask.recipe.lab import Lab
    from multitask.runs.config import TrainedRun


class PseudoStageSettings(StageSettings):
    """Every judged run labels the images, as of ``multitask pseudo``, and one that learns from them takes its place.

    So no group that judges had a say in the labels that its own judge learned from. Where it is kept, the run in folds
    labels the images, and is trained anew on them for use: each fold on labels of the one network that was not trained
    on the groups that validate it.
    """

    name: Literal["pseudo"] = "pseudo"
    title: ClassVar[str] = "Pseudo-labels"
    changes_config: ClassVar[bool] = False
    requires: ClassVar[str] = "folds"
    asks_networks: ClassVar[bool] = True
    in_folds: ClassVar[bool] = True
    images: ConfigPath
    """The unlabelled ones: a folder; or a table, a list or a pattern, as of ``multitask predict``. The recipe's own are
    left out."""
    labels: PseudoSettings = PseudoSettings()
    """What a head must be sure of."""
    path_column: Annotated[str, Field(min_length=1)] = "path"
    """Of a table: the images' paths."""
    group_column: Annotated[str, Field(min_length=1)] | None = None
    """Of a table: the images' groups, judged as one where a task is a group's."""
    groups_by_folder: Bool = False
    """Whether the images of a folder are a group, likewise."""

    def check(self, base: Config) -> None:
        """Groups are said in one way; images are called as in several sources then, and only a target's are dealt."""
        from multitask.data.sources.several import SeveralSettings

        if self.groups_by_folder and self.group_column is not None:
            raise ValueError("groups_by_folder: would be ignored beside group_column")
        if isinstance(base.data.source, SeveralSettings):
            if base.data.source.target is None:
                raise ValueError("data.source.target: must name the source whose images are to be answered")
        elif base.data.corrections is not None:
            raise ValueError(
                "data.corrections: name images by paths that begin with the source's name where there are several, as "
                "of images and pseudo-labels; write the base's source as several"
            )

    def check_files(self, base: Config) -> None:
        """The images are there."""
        self._count()

    def _count(self) -> int:
        """The images; 0 where nobody knows."""
        from multitask.inference.inputs import NamedInputs

        try:
            return NamedInputs([self.images], self._options()).count or 0
        except UserError as error:
            line = str(error)
            option, _, rest = line.partition(":")
            if option.startswith("--"):  # as the command calls the key
                raise UserError(f"{option.removeprefix('--').replace('-', '_')}:{rest}") from None
            raise UserError(f"images: {line}") from None

    def _options(self) -> InputOptions:
        from multitask.inference.inputs import InputOptions

        return InputOptions(self.path_column, self.group_column, groups_by_folder=self.groups_by_folder)

    def plan(self, lab: Lab, left_s: float) -> StagePlan:
        """As if all images were labelled: the judged runs and, should it be kept, the run in folds."""
        if lab.in_folds is None:
            raise CannotHoldError("there is no run in folds, which would be trained anew")
        more, (config, num_folds) = self._count(), lab.in_folds_config()
        judged_s = sum(lab.costs.seconds(one, more=more) for one in lab.standing)
        folds_s = lab.costs.seconds(config.with_changes({"data.folds": num_folds}), num_folds, more)
        # Each labels other images, which features are then computed of together with the rest.
        preparing_s = sum(lab.costs.preparing_seconds([one], more) for one in (*lab.standing, config))
        seconds = judged_s + folds_s + preparing_s
        if seconds > left_s:
            raise CannotHoldError(f"training on up to {more:,} more images takes about {time_text(seconds)}")
        return StagePlan(seconds, lab.standing[0].training.epochs)

    def perform(self, lab: Lab, plan: StagePlan) -> Proposal:
        """The labels of every judged run, and the configs of those that learn from them."""
        from multitask.recipe.labels import labelled

        runs, counts = [], []
        for index, config in enumerate(lab.standing):
            lab.progress.check()
            table = lab.folder.stage(self.name) / f"labels-{index + 1}.csv"
            found = labelled(lab, lab.judged_run(index), self.images, table, self.labels, self._options())
            runs.append(config if found is None else found.config)
            counts.append(0 if found is None else found.num_labelled)
        if not any(counts):
            return Proposal({}, note="No head of any judged run was sure of any label.")
        least, most = min(counts), max(counts)
        num = plural(most, "image", "images") if least == most else f"{least:,} to {most:,} images"
        return Proposal({}, note=f"{num} got a label from the judged runs.", runs=runs)

    def leave(self, lab: Lab, plan: StagePlan) -> tuple[dict[str, str], str]:
        """The labels of the run in folds, and the run in folds that is trained on those of its folds."""
        from multitask.pseudo.folds import caveat, fold_training_configs, seen_folds
        from multitask.recipe.for_use import run_in_folds
        from multitask.recipe.labels import labelled
        from multitask.runs.config import read_run

        assert lab.in_folds is not None, "as was planned"
        teacher, out = read_run(lab.in_folds.path, allow_extensions=True), lab.folder.path / self.name
        table = out / "labels.csv"
        found = labelled(lab, teacher, self.images, table, self.labels, self._options())
        if found is None:
            return {}, "But no head of the run in folds was sure of any label, so that it stays as it is."
        num_folds = lab.in_folds.num_folds
        assert num_folds is not None, "it is in folds"
        assert not seen_folds(teacher, found.config), "it splits the groups as who labels does"
        of_folds = self._label_for_folds(lab, teacher, table, num_folds)
        configs = fold_training_configs(found.config, table, of_folds)
        shown = lab.shown(self.name, num_folds, found.config.training.epochs)
        run_in_folds(lab, out / "run", found.config, num_folds, shown, configs)
        files = {"run": f"{self.name}/run", "labels": f"{self.name}/labels.csv"}
        num = plural(found.num_labelled, "image", "images")
        note = f"For use the run in folds labelled {num}, and was trained anew on them."
        said = caveat([fold for fold, mine in enumerate(of_folds) if mine == table])
        return files, f"{note} {said[:1].upper()}{said[1:]}{'.' if said else ''}".strip()

    def _label_for_folds(self, lab: Lab, teacher: TrainedRun, table: Path, num_folds: int) -> list[Path]:
        """The labels that each fold learns from: of all networks, ``table``, where its own is sure of nothing.

        Also where an earlier launch began to train without labels of its own.
        """
        from multitask.pseudo.report_schema import report_path
        from multitask.recipe.labels import labelled
        from multitask.runs.folder import RunFolder

        found, began = [], RunFolder(table.with_name("run")).exists()
        for fold in range(num_folds):
            lab.progress.check()
            mine = table.with_name(f"labels-fold-{fold}.csv")
            if began and not report_path(mine).is_file():
                found.append(table)
                continue
            sure = labelled(lab, teacher, self.images, mine, self.labels, self._options(), fold)
            found.append(table if sure is None else mine)
        return found
