"""The answers of a trained run to the images that a source asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from multitask.data.image_store import ImageStore
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.progress import Progress
from multitask.runs.config import TrainedRun
from multitask.runs.evaluate import answered_classes, ensemble_answers
from multitask.runs.report import read_rules
from multitask.utils.files import write_csv
from multitask.utils.ranks import ranks
from multitask.utils.strings import Strings


def write_submission(trained: TrainedRun, root: Path, out: Path, progress: Progress) -> int:
    """Answers the images that the source's layout asks for under ``root``; over several processes each answers some.

    Args:
        trained: the run.
        root: a data root in the layout of the run's source.
        out: the CSV file, with the columns that the source's layout asks for; written only when every image was
            answered.
        progress: notified of every step of the work.

    Returns:
        How many images were answered.

    Raises:
        UserError: an image is missing or cannot be read; nothing is written.
    """
    here = ranks()
    here.from_main(lambda: _check(out))
    folder, config = trained
    queries = config.data.source.queries(root)
    for note in queries.notes:
        progress.note(note)
    images = Strings.of(str(path.relative_to(root)) for path in queries.paths)
    samples = replace(
        Samples.unlabelled(config.space(), root, images, queries.ids), boxes=queries.boxes, eyes=queries.eyes
    )
    kept = read_rules(folder, config.evaluation())
    rule = kept.rule() if kept else None
    if folder.is_ensemble:
        classes = ensemble_answers(trained, samples, progress, rule=rule).predicted
    else:
        preprocessing = config.data.preprocessing(config.model.backbone.normalisation())
        store = ImageStore(config.data, samples, preprocessing)
        classes = answered_classes(trained, samples, store, progress, rule)
    here.from_main(lambda: write_csv(out, queries.table(classes, samples.space)))
    return len(samples)


def _check(out: Path) -> None:
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file")
    if not out.parent.is_dir():
        raise UserError(f"{out}: there is no folder {out.parent}")
