from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from multitask.config import Config
from multitask.errors import UserError
from multitask.evaluation.calibration import Calibration
from multitask.evaluation.decode_comparison import decide_and_fit
from multitask.evaluation.grouped import decide_grouped_and_fit
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.views import Views
from multitask.runs.config import TrainedRun
from multitask.runs.folder import RunFolder
from multitask.runs.report import read_rules
from multitask.runs.viewed_calibration import read_viewed_calibration
from multitask.utils.seeds import derive

VIEWS = Views(("scale",))


@pytest.fixture(scope="module")
def trained(tiny: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    return left_by(tiny({"decode.name": "head_bias"}), tmp_path_factory.mktemp("views"))


def left_by(config: Config, path: Path, *, partly: bool = False) -> TrainedRun:
    """What a run leaves of 20 groups of 3 images that validated it; ``partly``: none of them has all labels."""
    space, rng = config.space(), np.random.default_rng(0)
    labels = space.decode(rng.integers(0, space.num_classes, 60))
    labels[:, 1:] = labels[np.arange(60) // 3 * 3, 1:]
    log_probs = {}
    for task, column in zip(space.tasks, labels.T, strict=True):
        scores = rng.normal(size=(60, task.num_classes)) + 1.5 * np.eye(task.num_classes)[column]
        log_probs[task.name] = torch.from_numpy(scores).log_softmax(1)
    if partly:
        labels[:30, 0] = labels[30:, 1:] = -1
    names = np.array([f"{row}.jpg" for row in range(60)], dtype=object)
    groups = np.array([f"p{row // 3}" for row in range(60)], dtype=object)
    predicted = space.joint_log_probs(log_probs).argmax(1).numpy()
    predictions = Predictions(space, space, names, groups, labels, log_probs, predicted)
    folder, seed = RunFolder(path), derive(config.seed, "decode")
    kept = decide_and_fit(predictions, config.decode, None, seed, 0).kept
    grouped = decide_grouped_and_fit(predictions, ("gender", "age"), config.decode, None, seed).kept
    folder.decode.write_text(kept.model_copy(update={"grouped": grouped}).to_json())
    folder.predictions().write_text("".join(predictions.to_csv()))
    return TrainedRun(folder, config)


def numbers(calibration: Calibration | None) -> np.ndarray:
    assert calibration is not None
    columns = [
        calibration.confidences,
        calibration.right,
        *calibration.probs.values(),
        *(calibration.below or {}).values(),
    ]
    return np.array(columns)


def test_of_the_same_answers_it_is_what_the_run_keeps(trained: TrainedRun) -> None:
    folder = trained.folder
    shutil.copy(folder.predictions(), folder.predictions("val-scale"))
    found, kept = read_viewed_calibration(trained, VIEWS), read_rules(folder, trained.config.evaluation())
    assert kept is not None
    assert kept.grouped is not None
    np.testing.assert_allclose(numbers(found.single), numbers(kept.calibration), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(numbers(found.grouped), numbers(kept.grouped.calibration), rtol=1e-4, atol=1e-6)


def test_where_no_image_has_all_labels_it_is_what_the_run_keeps_of_its_heads(
    tiny: Callable[..., Config], tmp_path: Path
) -> None:
    trained = left_by(tiny({"decode.name": "head_bias"}), tmp_path, partly=True)
    shutil.copy(trained.folder.predictions(), trained.folder.predictions("val-scale"))
    found, kept = read_viewed_calibration(trained, VIEWS), read_rules(trained.folder, trained.config.evaluation())
    assert kept is not None
    assert kept.grouped is not None
    for one, other in ((found.single, kept.calibration), (found.grouped, kept.grouped.calibration)):
        np.testing.assert_allclose(numbers(one), numbers(other), rtol=1e-4, atol=1e-6)
        assert one is not None
        assert [one.num_groups(name) for name in ("mask", "gender", "joint")] == [10, 10, 0]


def test_other_answers_are_read_by_what_was_fitted_on_the_run_s_own(trained: TrainedRun) -> None:
    """Sure and always right: that changes no temperature, but it does the answers."""
    folder = trained.folder
    header, *rows = folder.predictions().read_text().splitlines()
    names = header.split(",")
    heads = {task.name: [f"p({task.name}={label})" for label in task.classes] for task in trained.config.space().tasks}
    written = []
    for row in reversed(rows):
        values = dict(zip(names, row.split(","), strict=True))
        for name, columns in heads.items():
            values |= dict.fromkeys(columns, "1e-9") | {f"p({name}={values[name]})": "1"}
        written.append(",".join(values.values()))
    folder.predictions("val-scale").write_text("\n".join([header, *written, ""]))
    found, kept = read_viewed_calibration(trained, VIEWS), read_rules(folder, trained.config.evaluation())
    assert found.single is not None
    assert kept is not None
    assert kept.calibration is not None
    assert (found.single.groups, found.single.labels) == (kept.calibration.groups, kept.calibration.labels)
    assert found.grouped is not None
    for calibration in (found.single, found.grouped):
        assert (np.array(calibration.probs["gender"]) > 0.95).all()
        assert all(calibration.right)


def test_answers_of_other_images_or_labels_are_refused(trained: TrainedRun) -> None:
    folder = trained.folder
    lines = folder.predictions().read_text().splitlines(keepends=True)
    folder.predictions("val-scale").write_text("".join(lines[:-1]))
    with pytest.raises(UserError, match=r"-scale.csv: is of other images or labels than .* --views scale"):
        read_viewed_calibration(trained, VIEWS)
    folder.predictions("val-scale").unlink()
    with pytest.raises(UserError, match=r"there is no .*-scale.csv; `multitask evaluate .* --views scale`"):
        read_viewed_calibration(trained, VIEWS)


def test_what_was_fitted_on_others_answers_cannot(trained: TrainedRun) -> None:
    everybody = TrainedRun(trained.folder, trained.config.model_copy(update={"final": Path("folds")}))
    with pytest.raises(UserError, match="was trained on all groups, and its rules were fitted on images as they are"):
        read_viewed_calibration(everybody, VIEWS)
    trained.folder.ensemble.touch()
    with pytest.raises(UserError, match="is an ensemble, whose weights were fitted on images as they are; leave out"):
        read_viewed_calibration(trained, VIEWS)
    trained.folder.ensemble.unlink()
