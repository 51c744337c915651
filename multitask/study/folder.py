"""The folder of a study."""

from __future__ import annotations

from pathlib import Path

from multitask.utils.work_folder import WorkFolder


class StudyFolder(WorkFolder):
    """The files of one study.

    Args:
        path: the folder.
        reuse: where decoded images and features are kept, for others too; None: in the folder, until the study's end.
    """

    file = "study.yaml"
    kind = "study folder"
    busy = "study; use --workers for more of them, or --out and --storage to share it"
    scratch = ("study.db", "study.db-journal")

    def __init__(self, path: Path, reuse: Path | None = None) -> None:
        super().__init__(path)
        self.database = path / "study.db"
        self.log = path / "workers.log"
        self.workers = path / "workers"
        self.trials = path / "trials"
        self.confirming = path / "confirm"
        self.reuse = path / "reuse" if reuse is None else reuse
        self.shares_reuse = reuse is not None
        self.confirmation = path / "confirmation.json"
        self.report = path / "report.json"
        self.page = path / "study.html"
        self.best = path / "best.yaml"

    def trial(self, number: int) -> Path:
        """The run folder of a trial."""
        return self.trials / f"{number:04d}"

    def confirming_run(self, number: int, run: int) -> Path:
        """The run folder of a trial's confirming run."""
        return self.confirming / f"{number:04d}-{run}"
