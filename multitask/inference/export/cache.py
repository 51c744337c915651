"""Exports of runs that engines made for themselves, kept for the next time."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from multitask.errors import UserError
from multitask.inference.export.exported import Exported, Precision, read_exported
from multitask.utils.shared_arrays import default_folder, make_folder

if TYPE_CHECKING:
    from multitask.runs.config import TrainedRun

_VERSION = 2
"""Of what an export is made of and how; with another, those that were kept are not used any more."""


def cached_path(fingerprint: str, precision: Precision) -> Path:
    """Where the export of a run with this fingerprint is kept."""
    return default_folder() / "exports" / f"{fingerprint}-{precision}-{_VERSION}.onnx"


def remembered_path(digest: str) -> Path:
    """Where the engine that ``auto`` takes for the file of this digest is kept."""
    return default_folder() / "exports" / f"{digest}-engine.json"


def exported_run(path: Path, precision: Precision, allow_extensions: bool) -> Exported:
    """The export of a run, made at the first call and whenever the run has changed.

    Args:
        path: the run's folder.
        precision: of the export.
        allow_extensions: whether code that the run's config names may run.

    Raises:
        UserError: there is no run, or as of ``export``.
    """
    from multitask.runs.config import read_run

    return export_of(read_run(path, allow_extensions=allow_extensions), precision)


def export_of(trained: TrainedRun, precision: Precision) -> Exported:
    """As ``exported_run``."""
    from multitask.inference.run_spec import run_spec

    kept = cached_path(run_spec(trained).fingerprint, precision)
    if kept.is_file():
        with contextlib.suppress(UserError):  # damaged, or of another version: made again
            return read_exported(kept)

    from multitask.inference.export.export import export

    make_folder(kept.parent, "XDG_CACHE_HOME names another folder")
    return export(trained, kept, precision).exported


def kept_exports(folder: Path) -> list[Path]:
    """The files in a cache folder's ``exports``: exported runs, and which engine is the fastest for a file."""
    return sorted(
        path
        for pattern in ("*-*-[0-9]*.onnx", "*-engine.json")
        for path in (folder / "exports").glob(pattern)
        if re.fullmatch(r"[0-9a-f]{16,}-.+", path.name)
    )
