"""The folder of a recipe."""

from __future__ import annotations

from pathlib import Path

from multitask.runs.folder import RunFolder
from multitask.utils.work_folder import WorkFolder


class RecipeFolder(WorkFolder):
    """The files of one recipe; what a stage leaves is in ``stages/<name>``, runs that were compared in ``runs``.

    Args:
        path: the folder.
    """

    file = "recipe.yaml"
    kind = "recipe's folder"
    busy = "recipe"
    scratch = (".reuse",)
    parts = "**/.*.part"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.clock = path / "clock.json"
        self.report = path / "report.json"
        self.page = path / "recipe.html"
        self.best = path / "best.yaml"
        self.reuse = path / ".reuse"

    def stage(self, name: str) -> Path:
        """The folder of a stage."""
        return self.path / "stages" / name

    def plan(self, name: str) -> Path:
        """What the clock allowed a stage, written before it begins."""
        return self.stage(name) / "plan.json"

    def answers(self, name: str) -> list[Path]:
        """The tables of answers that a stage left, a pass each."""
        return sorted(self.stage(name).glob("answers-*.csv"))

    def stage_report(self, name: str) -> Path:
        """How a stage ended, written last: a stage that has it is done."""
        return self.stage(name) / "report.json"

    def run(self, digest: str) -> RunFolder:
        """The run of a config of that digest."""
        return RunFolder(self.path / "runs" / digest)
