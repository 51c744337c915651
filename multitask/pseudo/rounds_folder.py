"""The folder of rounds of pseudo-labels, and whether it holds those that are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multitask.errors import UserError
from multitask.pseudo.report_schema import report_path
from multitask.pseudo.rounds_schema import RoundsBegun
from multitask.utils.files import write_atomically
from multitask.utils.records import read_record, record_to_json, to_json_data
from multitask.utils.work_folder import WorkFolder


class RoundsFolder(WorkFolder):
    """The files of rounds: ``rounds.json``, what they began with; ``report.json``; and a folder for each round.

    Args:
        path: the folder.
    """

    file = "rounds.json"
    kind = "folder of rounds"
    busy = "folder of rounds; wait for it, or name another -o"
    scratch = ("round-1",)
    parts = "**/.*.part"
    option = "-o"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.report = path / "report.json"

    def table(self, number: int) -> Path:
        """The labels of a round, from 1."""
        return self.path / f"round-{number}" / "labels.csv"

    def fold_table(self, number: int, fold: int) -> Path:
        """The labels that one fold of a round's run is trained on, from 0."""
        return self.path / f"round-{number}" / f"labels-fold-{fold}.csv"

    def run(self, number: int) -> Path:
        """The run that was trained on them."""
        return self.path / f"round-{number}" / "run"

    @contextmanager
    def begun(self, with_what: RoundsBegun) -> Iterator[None]:
        """The folder for one launch alone; it is gone in the end where nothing was labelled.

        Raises:
            UserError: another launch has it, or it holds something else, or rounds that began otherwise, or
                there is no folder to make it in.
        """
        self.claim()
        if not self.path.parent.is_dir():
            raise UserError(f"{self.path}: there is no folder {self.path.parent}")
        self._check(with_what)
        with self.locked():
            self._check(with_what)
            write_atomically(self.settings, record_to_json(with_what))
            try:
                yield
            finally:
                if not report_path(self.table(1)).is_file():
                    self.settings.unlink()

    def _check(self, with_what: RoundsBegun) -> None:
        if not self.exists():
            return
        old, new = (to_json_data(which) for which in (read_record(self.settings, RoundsBegun), with_what))
        old, new = ({**which.pop("settings"), **which} for which in (old, new))
        changed = next((key for key in new if old.get(key) != new[key]), None)
        if changed is not None:
            other = _OTHER.get(changed) or f"{changed} {old.get(changed)}, not {new[changed]}"
            raise UserError(
                f"{self.path}: holds rounds that began with {other}; go on with what they began with, or name another "
                f"{self.option}"
            )


_OTHER = {
    "run": "another run",
    "fingerprint": "other weights or decode rules of the run",
    "images": "other images",
    "config": "another config",
}
