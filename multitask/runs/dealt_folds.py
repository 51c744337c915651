"""The training of a run's folds: one after the other, or each in one of the processes of a launch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from multitask.config import Config
from multitask.data.data_facts import DataFacts
from multitask.errors import UserError
from multitask.progress import EpochRecord, Progress
from multitask.runs.config import load_run_config
from multitask.runs.folder import RunFolder
from multitask.runs.run import run
from multitask.utils.apart import apart
from multitask.utils.files import write_atomically
from multitask.utils.ranks import ranks
from multitask.utils.records import record_to_json


def train_folds(
    folder: RunFolder,
    configs: Sequence[Config],
    facts: DataFacts,
    *,
    on_epoch: Callable[[EpochRecord], None] | None,
    progress: Progress,
    reuse: Path | None,
) -> None:
    """Trains the folds that are not finished. Of N processes that of rank r has every N-th of them, from the r-th on.

    Args:
        folder: of the run in folds, begun; only rank 0 writes in it, and in a fold's own who trains it.
        configs: of each fold's run.
        facts: of the data; written with what the networks see of the images.
        on_epoch: as of ``run_folds``.
        progress: notified of the folds that this process trains, and by rank 0 of those that were finished before.
        reuse: as in ``run``.

    Raises:
        UserError: as of ``run``; a process does not see the folder.
    """
    here = ranks()
    here.gather(lambda: _check_seen(folder, here.rank))
    finished = here.from_main(lambda: [_is_finished(folder.fold(index), fold) for index, fold in enumerate(configs)])
    left = [index for index, done in enumerate(finished) if not done]
    own = left[here.rank :: here.size]

    def train_own() -> None:
        if others := ", ".join(str(index) for index in left if index not in own):
            progress.note(
                f"trained by the other {here.size - 1} of {here.size} processes, and not shown: fold {others}"
            )
        for index, fold in enumerate(configs):
            if index not in own and not (finished[index] and here.is_main):
                continue
            progress.fold(index, len(configs), finished[index])
            member = folder.fold(index)
            if not finished[index]:
                run(fold, member.path, resume=True, on_epoch=on_epoch, progress=progress, reuse=reuse)
            if here.is_main:
                images = member.read_data().images  # of all of them, and so alike in every fold
                write_atomically(folder.data, record_to_json(facts.with_images(images)))

    apart(here, train_own)


def _is_finished(member: RunFolder, fold: Config) -> bool:
    return member.report().is_file() and load_run_config(member).training.epochs == fold.training.epochs


def _check_seen(folder: RunFolder, rank: int) -> None:
    if not folder.exists():
        raise UserError(
            f"{folder.path}: rank {rank} does not find the run that rank 0 has begun there; --folds over several "
            "machines need a folder that all of them see"
        )
