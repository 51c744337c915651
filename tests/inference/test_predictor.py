from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import multitask
from multitask.data import CROPS
from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions
from multitask.inference.predictor import Predictor


def test_the_predictions_are_those_that_the_run_made(
    predictor: Predictor, validated: Predictions, trained_path: Path
) -> None:
    root = trained_path.parent / "set"
    samples = {path.name: path for path in root.rglob("*") if path.is_file()}
    paths = [next(iter(root.rglob(str(image)))) for image in validated.images]
    assert samples
    found = predictor.predict(paths, batch_size=5)
    outputs = validated.outputs()
    assert found.predicted.tolist() == predictor.spec.rule.decode(outputs).tolist()
    assert found.images == tuple(map(str, paths))
    scores = outputs.scores(predictor.spec.temperatures)
    expected = np.exp(scores - scores.max(axis=0))
    np.testing.assert_allclose(found.class_probs, (expected / expected.sum(axis=0)).T, atol=1e-6)


def test_one_image_gives_one_prediction_and_several_a_sequence(predictor: Predictor, trained_path: Path) -> None:
    path = next((trained_path.parent / "set").rglob("*.jpg"))
    one = predictor.predict(path)
    many = predictor.predict([str(path), path])
    assert [prediction.class_name for prediction in many] == [one.class_name] * 2
    assert one.class_prob == pytest.approx(one.class_probs[one.class_name])
    assert one.probs["mask"] == pytest.approx(many[1].probs["mask"], abs=1e-5)
    assert (len(many[:1]), many[:1][0].image, many[-1].image) == (1, str(path), str(path))
    with pytest.raises(IndexError):
        many[2]


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK"])
def test_an_image_in_memory_is_answered_as_its_file_is(mode: str, predictor: Predictor, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (48, 36, 3), dtype=np.uint8)).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    by_path = predictor.predict(path)
    assert predictor.predict(image).class_probs == by_path.class_probs
    if mode in ("RGB", "L", "RGBA"):
        assert predictor.predict(np.array(image)).class_probs == by_path.class_probs


def test_a_rotation_in_exif_is_applied_to_an_image_in_memory_too(predictor: Predictor, tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 36, 3), dtype=np.uint8))
    turned = image.rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    opened = Image.open(tmp_path / "turned.png")
    assert predictor.predict(opened).class_probs == predictor.predict(image).class_probs


def test_an_array_of_images_is_as_many(predictor: Predictor) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 40, 30, 3), dtype=np.uint8)
    found = predictor.predict(images, batch_size=2)
    assert found.images == ("0", "1", "2", "3", "4")
    np.testing.assert_allclose(found.class_probs, predictor.predict(list(images)).class_probs, atol=1e-6)
    assert len(predictor.predict([])) == 0
    assert predictor.predict(iter(images[:2])).images == ("0", "1")


@pytest.mark.parametrize(
    ("image", "match"),
    [
        (np.zeros((4, 4, 3)), "image 1: an array must be .* of uint8, found .* of float64"),
        (np.zeros((4, 4, 2), dtype=np.uint8), "image 1: an array must be"),
        (np.zeros((0, 4, 3), dtype=np.uint8), "image 1: an array must have pixels"),
        (7, "image 1: must be a path, a PIL image or an array, found int"),
        ("nothere.jpg", "nothere.jpg: no such file$"),
        ("https://host/1.jpg", "1.jpg: no such file; addresses are not fetched: download what they lead to$"),
    ],
)
def test_what_is_no_image_is_named(image: Any, match: str, predictor: Predictor) -> None:
    with pytest.raises(UserError, match=match):
        predictor.predict([np.zeros((4, 4, 3), dtype=np.uint8), image])


def test_the_probabilities_of_a_table_are_those_of_the_predictions(predictor: Predictor) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 30, 3), dtype=np.uint8)
    found = predictor.predict(images)
    table = found.to_pandas(probabilities=True)
    for row, prediction in enumerate(found):
        assert table.loc[row, "class"] == prediction.class_name
        assert table.loc[row, "p(class)"] == prediction.class_prob
        for task, label in prediction.labels.items():
            assert table.loc[row, task] == label
            assert table.loc[row, f"p({task})"] == table.loc[row, f"p({task}={label})"] == prediction.probs[task][label]
    assert table.filter(like="p(class=").sum(axis=1).to_numpy() == pytest.approx(1)


@pytest.mark.parametrize(
    "images", [None, 3, b"\xff\xd8", io.BytesIO(b"\xff"), {"a.jpg": 1}, pd.DataFrame({"path": []})]
)
def test_what_is_neither_an_image_nor_several_is_named(images: Any, predictor: Predictor) -> None:
    with pytest.raises(UserError, match="images: must be an image or several, found"):
        predictor.predict(images)


@pytest.mark.parametrize("batch_size", [0, -1, "8"])
def test_a_batch_size_that_is_none_is_named(batch_size: Any, predictor: Predictor) -> None:
    with pytest.raises(UserError, match=r"^batch_size: must be a whole number from 1, found "):
        predictor.predict([np.zeros((4, 4, 3), dtype=np.uint8)], batch_size=batch_size)


def test_threads_get_the_answers_of_one(predictor: Predictor) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 40, 30, 3), dtype=np.uint8)
    expected = [predictor.predict(image).class_probs for image in images]
    found: dict[int, Any] = {}

    def ask(place: int) -> None:
        found[place] = predictor.predict(images[place]).class_probs

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[place] for place in range(len(images))] == expected


def test_another_process_gets_one_that_answers_the_same(trained_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained_path.parent)
    image = np.random.default_rng(0).integers(0, 256, (96, 64, 3), dtype=np.uint8)
    predictor = Predictor.load(trained_path.name, views=["flip"])
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), os.chdir, ("/",)) as pool:
        found = pool.submit(predictor.predict, [image]).result()
    assert found[0].probs == predictor.predict([image])[0].probs


def test_one_of_an_engine_says_that_it_cannot_be_pickled(predictor: Predictor) -> None:
    with pytest.raises(TypeError, match=r"cannot be pickled; one of Predictor\.load can"):
        pickle.dumps(Predictor(predictor.engine))


def test_what_is_no_run_is_refused(tmp_path: Path, trained_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothere: no such run or exported file"):
        multitask.Predictor.load(tmp_path / "nothere")
    with pytest.raises(UserError, match="unknown engine 'torhc'; did you mean 'torch'"):
        Predictor.load(trained_path, engine="torhc")
    with pytest.raises(UserError, match=r"config\.yaml"):
        Predictor.load(tmp_path)


class TestBoxes:
    """Of a run that crops each image to a box of its own."""

    @pytest.fixture(scope="class")
    def boxed(self, predictor: Predictor) -> Predictor:
        engine = copy(predictor.engine)
        engine.spec = predictor.spec.model_copy(update={"crop": CROPS["box"].model_validate({"margin": 0.0})})
        return Predictor(engine)

    def test_each_image_is_cropped_to_its_own(self, boxed: Predictor, predictor: Predictor) -> None:
        large = np.random.default_rng(0).integers(0, 256, (96, 72, 3), dtype=np.uint8)
        part = large[32:64, 24:48]
        box = (24, 32, 48, 64)
        alone = predictor.predict(part).class_probs
        assert boxed.predict(large, boxes=box).class_probs == pytest.approx(alone, abs=1e-5)
        both = boxed.predict([large, part], boxes=[box, np.array([0, 0, 24, 32])])
        assert [found.class_probs for found in both] == [pytest.approx(alone, abs=1e-5)] * 2

    @pytest.mark.parametrize(
        ("boxes", "match"),
        [
            (None, "boxes: the run crops each image to a box of its own"),
            ([(0, 0, 4, 4)], "boxes: must be as many as there are images"),
            ([(0, 0, 4, 4)] * 3, "boxes: must be as many as there are images"),
            (7, "boxes: must be one for each image, found 7"),
            ([(0, 0, 4, 4), "box"], "boxes: image 1: must be left, top, right and bottom, found 'box'"),
            ([(0, 0, 4, 4), (0, 0, 4)], "boxes: image 1: must be left"),
            ([(0, 0, 4, 4), (90, 90, 95, 95)], "1: its box .* is no part of it"),
        ],
    )
    def test_boxes_that_cannot_be(self, boxes: Any, match: str, boxed: Predictor) -> None:
        images = np.zeros((2, 8, 8, 3), dtype=np.uint8)
        with pytest.raises(UserError, match=match):
            boxed.predict(images, boxes=boxes)

    def test_a_run_that_takes_none_refuses_them(self, predictor: Predictor) -> None:
        with pytest.raises(UserError, match="boxes: would be ignored: the run's crop takes none"):
            predictor.predict(np.zeros((8, 8, 3), dtype=np.uint8), boxes=(0, 0, 4, 4))
