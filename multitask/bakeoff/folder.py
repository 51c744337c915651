"""The folder of a bake-off."""

from __future__ import annotations

from pathlib import Path

from multitask.bakeoff.settings import Point
from multitask.utils.work_folder import WorkFolder


class BakeoffFolder(WorkFolder):
    """The files of one bake-off; its runs are in ``<contender>/<point>/<index>``.

    Args:
        path: the folder.
    """

    file = "bakeoff.yaml"
    kind = "bake-off's folder"
    busy = "bake-off"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.workers = path / "workers"
        self.costs = path / "costs.json"
        self.report = path / "report.json"
        self.page = path / "bakeoff.html"
        self.reuse = path / ".reuse"

    def run(self, slug: str, point: Point, index: int) -> Path:
        """The run folder of a contender."""
        return self.path / slug / str(point) / str(index)

    def tuning_run(self, slug: str, number: int) -> Path:
        """The run folder in which a combination of tuned values is tried."""
        return self.path / slug / "tune" / str(number)
