"""The config of a run that was trained, checked before anything heavy is imported."""

from __future__ import annotations

from pathlib import Path

from multitask.config import Config, load_config
from multitask.errors import UserError
from multitask.runs.folder import RunFolder
from multitask.settings import override, validate


def load_run_config(folder: RunFolder) -> Config:
    """The config that a run began with.

    Raises:
        UserError: there is no run, or its config is damaged or of another version.
    """
    folder.require()
    try:
        return load_config(folder.config)
    except UserError as error:
        raise UserError(f"{folder.config}: {error}") from None


def read_run(path: Path, data: Path | None = None) -> tuple[RunFolder, Config]:
    """A run and its config, with the data perhaps at another place than when it was trained.

    Raises:
        UserError: there is no run.
    """
    folder = RunFolder(path)
    config = load_run_config(folder)
    if data is not None:
        moved = override(Config, config.model_dump(mode="json"), {"data.root": str(data.resolve())})
        config = validate(Config, moved)
    return folder, config
