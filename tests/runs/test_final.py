"""The final run: everybody trains, and what decodes was fitted on the folds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from multitask.config import Config
from multitask.errors import UserError
from multitask.inference.predictor import Predictor
from multitask.progress import EpochRecord, Progress
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.cross_validation import run_folds
from multitask.runs.evaluate import evaluate
from multitask.runs.final import final_config, train_final
from multitask.runs.folder import RunFolder
from multitask.runs.out_of_fold import read_out_of_fold
from multitask.runs.page import write_page
from multitask.runs.run import run
from multitask.utils.records import record_to_json
from tests.runs.same_run import StoppedError, assert_same_run

MakeConfig = Callable[..., Config]
CHANGES = {
    "data.val_fraction": 0.2,
    "decode.name": "head_bias",
    "training.epochs": 3,
    "training.patience": 3,
    "augment.strength": 0.0,
}


@pytest.fixture(scope="module")
def folded(tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in folds; not to be written to."""
    path = tmp_path_factory.mktemp("folded") / "folds"
    run_folds(tiny(CHANGES), 2, path)
    return path


@pytest.fixture(scope="module")
def final(folded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The final run of ``folded``; not to be written to."""
    path = tmp_path_factory.mktemp("final") / "final"
    train_final(read_run(folded), path)
    return path


def write_kept(folder: RunFolder, kept: tuple[int, int]) -> None:
    """Has the report say that the folds kept these epochs."""
    report = folder.read_report()
    assert report.folds is not None
    rows = tuple(replace(row, best_epoch=best) for row, best in zip(report.folds, kept, strict=True))
    folder.report().write_text(record_to_json(replace(report, folds=rows)))


def test_all_groups_train_for_the_median_of_the_kept_epochs(folded: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folded, tmp_path / "folds"))
    folder, config = read_run(copy)
    for kept, epochs, warmup in (((1, 2), 2, 1), ((2, 3), 3, 1), ((1, 1), 1, 1)):
        write_kept(folder, kept)
        found = final_config(TrainedRun(folder, config))
        assert (found.training.epochs, found.training.schedule.warmup_epochs) == (epochs, warmup), kept
        assert (found.data.val_fraction, found.training.patience, found.decode) == (0, None, config.decode)
        assert found.final == str(copy)


def test_a_warm_up_that_does_not_fit_is_cut(tiny: MakeConfig, folded: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folded, tmp_path / "folds"))
    folder, _ = read_run(copy)
    write_kept(folder, (3, 3))
    longer = tiny({**CHANGES, "training.epochs": 9, "training.schedule.warmup_epochs": 5})
    assert final_config(TrainedRun(folder, longer)).training.schedule.warmup_epochs == 2


@pytest.mark.parametrize(
    ("changes", "keep"),
    [
        ({"training.keep.name": "lower_bound", "data.pick_fraction": 0.2}, "best"),
        ({"training.keep.name": "last", "training.patience": None}, "last"),
        ({"training.keep.name": "mean", "training.patience": None}, "mean"),
        ({"training.keep.name": "last", "training.monitor": "joint.loss"}, "last"),
    ],
)
def test_what_asks_those_who_validate_is_left_out(
    changes: dict[str, object], keep: str, tiny: MakeConfig, folded: Path
) -> None:
    found = final_config(TrainedRun(RunFolder(folded), tiny({**CHANGES, **changes})))
    assert (found.training.keep.name, found.data.pick_fraction, found.data.val_fraction) == (keep, 0, 0)


@pytest.mark.parametrize(("changes", "kept"), [({}, None), ({"data.train_groups": 4}, 7), ({"data.test_folds": 2}, 7)])
def test_the_seed_of_a_split_stays_where_it_deals_anybody(
    changes: dict[str, object], kept: int | None, tiny: MakeConfig, folded: Path
) -> None:
    config = tiny({**CHANGES, "data.split_seed": 7, **changes})
    assert final_config(TrainedRun(RunFolder(folded), config)).data.split_seed == kept


def test_decodes_as_the_folds_do_and_says_whose_scores_it_shows(folded: Path, final: Path) -> None:
    folder, config = read_run(final)
    assert {row.split(",")[2] for row in folder.split.read_text().splitlines()[1:]} == {"train"}
    assert folder.decode.read_bytes() == (folded / "decode.json").read_bytes()
    own, folds = folder.read_report(), RunFolder(folded).read_report()
    assert own.final is not None
    assert own.final.kept_epochs == tuple(row.best_epoch for row in folds.folds or ())
    assert own.final.num_epochs == own.training.num_epochs == config.training.epochs
    assert "no scores of its own" in own.final.sentence
    assert (own.joint, own.tasks, own.run) == (folds.joint, folds.tasks, "final")
    assert own.training.num_folds is None
    page = write_page(TrainedRun(folder, config), "val").read_text(encoding="utf-8")
    assert "no scores of its own" in page


def test_keeps_what_the_folds_answered_unseen(folded: Path, final: Path) -> None:
    own, folds = (read_out_of_fold(read_run(path)).single for path in (final, folded))
    assert all(np.array_equal(own[name].probs, folds[name].probs) for name in folds)


def test_answers_by_the_folds_rule_and_promises(folded: Path, final: Path) -> None:
    image = np.zeros((96, 64, 3), dtype=np.uint8)
    predictor, folds = Predictor.load(final), Predictor.load(folded)
    assert predictor.spec.rule == folds.spec.rule
    assert predictor.spec.temperatures == folds.spec.temperatures
    assert predictor.spec.calibration == folds.spec.calibration
    assert predictor.predict(image, coverage=0.9).sets is not None


def test_resumed_it_is_what_it_would_have_been(folded: Path, final: Path, tmp_path: Path) -> None:
    def stop(record: EpochRecord) -> None:
        raise StoppedError

    out = tmp_path / "final"
    with pytest.raises(StoppedError):
        train_final(read_run(folded), out, on_epoch=stop)
    assert not (out / "report.json").exists()
    train_final(read_run(folded), out, resume=True)
    assert_same_run(out, final)


def test_its_config_trains_the_same(final: Path, tmp_path: Path) -> None:
    run(read_run(final).config, tmp_path / "final")
    assert_same_run(tmp_path / "final", final)


def test_mistakes_are_a_line_and_nothing_is_written(
    tiny: MakeConfig, folded: Path, final: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="is not in folds"):
        final_config(read_run(final))
    with pytest.raises(UserError, match="holds a run already"):
        train_final(read_run(folded), final)
    unfinished = Path(shutil.copytree(folded, tmp_path / "unfinished"))
    (unfinished / "folds" / "1" / "report.json").unlink()
    with pytest.raises(UserError, match="fold 1 of 2 is not finished"):
        train_final(read_run(unfinished), tmp_path / "out")
    with pytest.raises(UserError, match="would be ignored where groups validate"):
        tiny({"final": str(folded)})
    other = tiny({"final": str(folded), "data.val_fraction": 0.0, "model.sharing.name": "flat"})
    with pytest.raises(UserError, match="has other tasks, labels or heads"):
        run(other, tmp_path / "out")
    with pytest.raises(UserError, match="all groups train"):
        evaluate(read_run(final), "val", Progress())
    assert not (tmp_path / "out").exists()
