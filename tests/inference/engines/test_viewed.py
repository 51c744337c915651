from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.views import Views
from multitask.inference.engines.viewed import ViewedEngine
from multitask.inference.predictor import Predictor
from multitask.inference.stream import ImageInput, read_now
from multitask.progress import Progress
from multitask.runs.config import read_run
from multitask.runs.evaluate import data_of, evaluate
from multitask.runs.viewed_calibration import read_viewed_calibration
from multitask.testing import tiny_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("viewed"))


def test_the_predictor_averages_as_evaluate_does(run: Path) -> None:
    trained = read_run(run)
    evaluate(trained, "val", Progress(), Views(("flip",)))
    space = trained.config.space()
    table = Predictions.from_csv(run / "predictions-val-flip.csv", space, space)
    path = data_of(trained).samples.root / table.images[0]
    viewed, plain = Predictor.load(run, views=("flip",)), Predictor.load(run)
    pixels = read_now(ImageInput("0", path), plain.spec.preprocessing()).pixels
    found, own = viewed.engine.log_probs(pixels), plain.engine.log_probs(pixels)
    for name in space.task_names:
        np.testing.assert_allclose(np.exp(found[name][0]), np.exp(table.log_probs[name][0].numpy()), atol=1e-6)
    assert max(np.abs(found[name] - own[name]).max() for name in space.task_names) > 1e-4
    assert viewed.predict(path).class_name == viewed.predict([path])[0].class_name


def test_sets_are_promised_of_views_with_which_the_run_was_evaluated(run: Path) -> None:
    evaluate(read_run(run), "val", Progress(), Views(("flip",)))
    viewed, plain = Predictor.load(run, views=["flip"]), Predictor.load(run)
    of_views, of_images = viewed.promises(0.7, 0.5), plain.promises(0.7, 0.5)
    assert (of_views.thresholds["joint"].values != of_images.thresholds["joint"].values).any()
    kept = read_viewed_calibration(read_run(run), Views(("flip",)))
    assert kept.grouped is not None
    possible = viewed.space.possible_labels("gender")
    expected = kept.grouped.thresholds("gender", possible, 0.7)
    assert expected is not None
    found = viewed.promises(0.7, for_groups=True).thresholds["gender"]
    np.testing.assert_array_equal(found.values, expected.values)
    other = Predictor.load(run, views=["flip", "scale"], views_except=["age:flip"])
    assert other.promises().thresholds == {}
    how = f"evaluate {run} --views flip,scale --views-except age:flip` writes it"
    with pytest.raises(UserError, match=rf"views: sets and risks are calibrated .*{re.escape(how)}"):
        other.promises(coverage=0.7)
    with pytest.raises(UserError, match="an exported file can promise sets and risks only of images as they are"):
        Predictor(ViewedEngine(plain.engine, Views(("flip",)))).promises(max_risk=0.1)


def test_flips_are_not_made_where_they_may_not(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown task 'ages'"):
        Predictor.load(run, views=["flip"], views_except=["ages:flip"])
    (tmp_path / "set").symlink_to(run.parent / "set")
    other = tiny_run(tmp_path, {"augment.flip": False})
    with pytest.raises(UserError, match=r"views: flip: the run's config says .* \(augment.flip\)"):
        Predictor.load(other, views=["flip"])
