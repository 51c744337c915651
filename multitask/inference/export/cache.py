"""Exports of runs that engines made for themselves, kept for the next time."""

from __future__ import annotations

from pathlib import Path

from multitask.errors import UserError
from multitask.inference.export.exported import Exported, Precision, read_exported
from multitask.utils.shared_arrays import default_folder

_VERSION = 1
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

    trained = read_run(path, allow_extensions=allow_extensions)

    from multitask.inference.run_spec import run_spec

    kept = cached_path(run_spec(trained).fingerprint, precision)
    if kept.is_file():
        try:
            return read_exported(kept)
        except UserError:
            pass  # damaged, or of another version: made again

    from multitask.inference.export.export import export

    kept.parent.mkdir(parents=True, exist_ok=True)
    return export(trained, kept, precision).exported
