"""Labels that a run of a recipe gives to unlabelled images, kept while the run stays the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from multitask.bakeoff.runs import Ticking
from multitask.config import Config
from multitask.inference.inputs import InputOptions
from multitask.inference.run_spec import run_spec
from multitask.pseudo.config import with_pseudo_labels
from multitask.pseudo.label import NothingSureError, config_path, label_images
from multitask.pseudo.report_schema import read_report, report_path
from multitask.pseudo.settings import PseudoSettings
from multitask.recipe.lab import Lab
from multitask.runs.config import TrainedRun
from multitask.runs.cross_validation import members


@dataclass(frozen=True)
class Labelled:
    """Images that got a label.

    Attributes:
        config: the run's own, that trains on them too.
        num_labelled: how many.
    """

    config: Config
    num_labelled: int


def labelled(
    lab: Lab,
    run: TrainedRun,
    images: str,
    table: Path,
    settings: PseudoSettings,
    options: InputOptions,
    fold: int | None = None,
) -> Labelled | None:
    """Labels images with a run, or the network of one of its folds, unless it has done so before.

    Args:
        lab: where it is done.
        run: whose heads must be sure.
        images: as of ``label_images``.
        table: to be written.
        settings: what a head must be sure of.
        options: how ``images`` is read.
        fold: as of ``label_images``.

    Returns:
        None where no head is sure of any label.

    Raises:
        UserError: as of ``label_images``.
    """
    folder, config = run
    answering = run if fold is None else members(run)[fold]
    if report_path(table).is_file() and read_report(table).fingerprint != run_spec(answering).fingerprint:
        for path in (report_path(table), config_path(table), table):  # of what stood before
            path.unlink(missing_ok=True)
    if not report_path(table).is_file():
        table.parent.mkdir(parents=True, exist_ok=True)
        lab.progress.say(f"labelling images with {answering.folder.path.relative_to(lab.folder.path)}")
        progress = Ticking(lab.progress)
        try:
            # The recipe was allowed what the config names before.
            label_images(
                folder.path,
                images,
                table,
                settings,
                options=options,
                fold=fold,
                progress=progress,
                allow_extensions=True,
            )
        except NothingSureError:
            return None
    return Labelled(with_pseudo_labels(config, table), read_report(table).num_labelled)
