"""Folds that are dealt to several processes: the files are those of one process, whoever trained what."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config
from multitask.errors import UserError
from multitask.progress import EpochRecord, Progress
from multitask.runs import dealt_folds
from multitask.runs.config import read_run
from multitask.runs.cross_validation import run_folds
from multitask.runs.final import train_final
from multitask.runs.several_processes import check_folds
from multitask.utils.ranks import Ranks
from tests.over_ranks import over_ranks
from tests.runs.same_run import StoppedError
from tests.runs.test_cross_validation import NUM_FOLDS, assert_same_folds

MakeConfig = Callable[..., Config]
SOON_S = 30.0
CHANGES = {
    "data.val_fraction": 0.2,
    "training.keep": {"name": "mean", "epochs": 2},
    "training.ema": {"decay": 0.9},
    "model.backbone.options": {"drop_rate": 0.2},
    "tracking": [{"name": "csv"}],
}


class Heard(Progress):
    """What a process was told of folds, and noted."""

    def __init__(self) -> None:
        self.folds: list[tuple[int, bool]] = []
        self.notes: list[str] = []

    def fold(self, index: int, num_folds: int, done: bool) -> None:
        self.folds.append((index, done))

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def alone(tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in folds of one process; not to be written to."""
    path = tmp_path_factory.mktemp("alone") / "run"
    run_folds(tiny(CHANGES), NUM_FOLDS, path)
    return path


def files(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*"))


@pytest.mark.parametrize(("size", "dealt"), [(2, [[0, 2], [1]]), (4, [[0], [1], [2], []])])
def test_files_are_those_of_one_process(
    alone: Path, tiny: MakeConfig, tmp_path: Path, size: int, dealt: list[list[int]]
) -> None:
    def work(rank: int) -> tuple[Any, Heard, int]:
        heard, count = Heard(), 0

        def on_epoch(record: EpochRecord) -> None:
            nonlocal count
            count += 1

        result = run_folds(tiny(CHANGES), NUM_FOLDS, tmp_path / "run", on_epoch=on_epoch, progress=heard)
        return result.report, heard, count

    found = over_ranks(size, work)
    assert [[index for index, _ in heard.folds] for _, heard, _ in found] == dealt
    assert [count for _, _, count in found] == [2 * len(own) for own in dealt]  # each trains its own and no other
    notes = [note for note in found[0][1].notes if "not shown" in note]
    others = ", ".join(str(index) for index in range(NUM_FOLDS) if index not in dealt[0])
    assert notes == [f"trained by the other {size - 1} of {size} processes, and not shown: fold {others}"]
    report = read_run(tmp_path / "run").folder.read_report()
    assert [told for told, _, _ in found] == [report] * size
    assert_same_folds(alone, tmp_path / "run")
    assert files(tmp_path / "run") == files(alone)
    assert (tmp_path / "run" / "decode.json").read_bytes() == (alone / "decode.json").read_bytes()
    if size == 2:
        final = train_final(read_run(tmp_path / "run"), tmp_path / "final").report
        assert final is not None
        assert final.joint == report.joint


@pytest.mark.parametrize("other", [1, 3])
def test_a_process_that_is_killed_ends_all_and_any_number_goes_on(
    alone: Path, tiny: MakeConfig, tmp_path: Path, other: int
) -> None:
    out = tmp_path / "run"

    def killed(rank: int) -> None:
        def on_epoch(record: EpochRecord) -> None:
            if rank == 1:  # once fold 0 is done, and a fold of each process is not
                while not ((out / "folds" / "0" / "report.json").exists() and (out / "folds" / "2").exists()):
                    time.sleep(0.01)
                (tmp_path / "killed").write_text(str(time.monotonic()))
                os.kill(os.getpid(), signal.SIGKILL)
            if (out / "folds" / "2").exists():
                time.sleep(4 * SOON_S)

        run_folds(tiny(CHANGES), NUM_FOLDS, out, on_epoch=on_epoch)

    [line] = over_ranks(2, killed, num_told=1)
    assert line.startswith("UserError: rank 0: another process of this launch is gone; finished epochs are saved")
    assert time.monotonic() - float((tmp_path / "killed").read_text()) < SOON_S
    assert not (out / "report.json").exists()
    done = (out / "folds" / "0" / "report.json").stat().st_mtime_ns
    assert (out / "folds" / "1" / "metrics.jsonl").exists() or (out / "folds" / "1" / "checkpoints").exists()

    def again(rank: int) -> list[tuple[int, bool]]:
        heard = Heard()
        run_folds(tiny(CHANGES), NUM_FOLDS, out, resume=True, progress=heard)
        return heard.folds

    heard = [again(0)] if other == 1 else over_ranks(other, again)
    if other == 1:
        assert heard == [[(0, True), (1, False), (2, False)]]
    else:  # what is left is dealt anew
        assert heard == [[(0, True), (1, False)], [(2, False)], []]
    assert (out / "folds" / "0" / "report.json").stat().st_mtime_ns == done
    assert_same_folds(alone, out)


def test_a_mistake_that_one_process_meets_ends_all_and_leaves_nothing(
    tiny: MakeConfig, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = dealt_folds.run

    def fail(config: Config, *args: Any, **options: Any) -> None:
        if config.data.fold == 1:
            raise UserError("an image is gone")
        time.sleep(4 * SOON_S)

    monkeypatch.setattr(dealt_folds, "run", fail)
    began = time.monotonic()
    lines = over_ranks(2, lambda rank: run_folds(tiny(CHANGES), 2, tmp_path / "run"))
    assert sorted(lines) == ["UserError: an image is gone", "exit 2"]
    assert time.monotonic() - began < 4 * SOON_S  # else the other slept on
    assert not (tmp_path / "run").exists()

    monkeypatch.setattr(dealt_folds, "run", train)
    lines = over_ranks(2, lambda rank: run_folds(tiny({**CHANGES, "seed": rank}), 2, tmp_path / "run"))
    assert sorted(lines) == ["UserError: rank 1: has other settings than rank 0; give all processes the same", "exit 2"]
    assert not (tmp_path / "run").exists()


def test_what_one_epoch_raises_keeps_the_folds_that_have_begun(tiny: MakeConfig, tmp_path: Path) -> None:
    def work(rank: int) -> None:
        def stop(record: EpochRecord) -> None:
            raise StoppedError if rank == 0 else UserError("no more")

        run_folds(tiny(CHANGES), 2, tmp_path / "run", on_epoch=stop)

    over_ranks(2, work)
    assert read_run(tmp_path / "run").folder.num_folds == 2


def test_a_process_that_does_not_see_the_folder_is_named(
    tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(rank: int) -> None:
        run_folds(tiny(CHANGES), 2, tmp_path / str(rank) / "run")

    lines = over_ranks(2, work)
    assert sorted(lines)[0] == (
        f"UserError: {tmp_path}/1/run: rank 1 does not find the run that rank 0 has begun there; --folds over several "
        "machines need a folder that all of them see"
    )
    assert not (tmp_path / "0" / "run").exists()


def test_shards_are_refused_where_a_fold_is_one_process(tiny: MakeConfig) -> None:
    config = tiny({"training.parallel": "fsdp"})
    check_folds(config, Ranks())
    check_folds(tiny(), Ranks(0, 2))
    with pytest.raises(UserError, match=r"^training\.parallel: fsdp would be ignored beside --folds over 2 processes"):
        check_folds(config, Ranks(0, 2))
