"""The run in folds that scored a config, and all that a final run takes from it: decode rules and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from multitask.config import Config
from multitask.errors import UserError
from multitask.evaluation.decode.fitted_rules import FittedRules
from multitask.evaluation.networks_schema import FinalFacts, FoldScores
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.report_schema import ClassDistribution, RunReport, TrainingFacts
from multitask.runs.config import load_run_config
from multitask.runs.folder import RunFolder
from multitask.runs.report import read_rules
from multitask.utils.files import write_atomically
from multitask.utils.records import record_to_json


@dataclass(frozen=True, eq=False)
class FoldsRun:
    """A finished run in folds.

    Attributes:
        folder: its folder.
        report: on all groups, each answered by the network that never saw it.
        predictions: the text of its table of them.
        rules: that were fitted on them.
    """

    folder: RunFolder
    report: RunReport
    predictions: str
    rules: FittedRules

    @classmethod
    def read(cls, path: Path, config: Config) -> FoldsRun:
        """The run in folds in a folder.

        Args:
            path: the folder.
            config: of the run whose answers its rules decode.

        Raises:
            UserError: it is no such run, it was not scored, or its label space or heads are others.
        """
        folder = RunFolder(path)
        own = load_run_config(folder)  # its extensions are those of the config at hand, which are loaded
        if folder.num_folds is None:
            raise UserError(f"final: {path} is not in folds")
        if own.space() != config.space() or own.learned_space() != config.learned_space():
            raise UserError(f"final: {path} has other tasks, labels or heads than this config")
        rules = read_rules(folder, own.evaluation())
        if rules is None:
            raise UserError(f"{folder.decode}: no such file; `multitask evaluate {path}` writes it")
        report = folder.read_report()
        table = folder.predictions()
        Predictions.from_csv(table, own.space(), own.learned_space())
        return cls(folder, report, table.read_text(encoding="utf-8"), rules)

    @property
    def folds(self) -> Sequence[FoldScores]:
        """The scores of each fold."""
        return self.report.folds or ()

    @property
    def kept_epochs(self) -> list[int]:
        """The epoch that each fold kept.

        Raises:
            UserError: it is not recorded.
        """
        kept = [row.best_epoch for row in self.folds if row.best_epoch is not None]
        if not kept or len(kept) < len(self.folds):
            raise UserError(f"{self.folder.report()}: does not say which epoch every fold kept")
        return kept

    def write_rules(self, folder: RunFolder) -> None:
        """Puts the rules into the folder of the final run."""
        write_atomically(folder.decode, self.rules.to_json())

    def write_report(
        self, folder: RunFolder, training: TrainingFacts, distribution: dict[str, ClassDistribution]
    ) -> RunReport:
        """Writes the folds' report and predictions as those of the final run, which has none; returns the report.

        Args:
            folder: of the final run.
            training: of the final run.
            distribution: likewise.
        """
        created = folder.read_environment("created").created
        assert created is not None
        found = replace(
            self.report,
            run=folder.name,
            created=created,
            training=training,
            class_distribution=distribution,
            final=FinalFacts(
                folds_run=str(self.folder.path), kept_epochs=tuple(self.kept_epochs), num_epochs=training.num_epochs
            ),
        )
        write_atomically(folder.predictions(), self.predictions)
        write_atomically(folder.report(), record_to_json(found))
        return found
