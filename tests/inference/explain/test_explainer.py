"""A run explains what it predicts, whatever its sharing, and says so in the same labels and probabilities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multitask.config import Config
from multitask.errors import UserError
from multitask.evaluation.evidence import Explanation
from multitask.inference.explain.explainer import Explainer
from multitask.inference.predictor import Predictor
from multitask.inference.stream import ImageInput
from multitask.runs.cross_validation import run_folds
from multitask.runs.run import run

SMALL = {
    "model.backbone": {"name": "resnet10t", "weights": "none", "options": {"channels": [8, 16, 16, 32]}},
    "data.image_size": [64, 48],
    "training.epochs": 1,
}
KINDS: dict[str, dict[str, Any]] = {
    "shared": {},
    "flat": {"model.sharing": {"name": "flat"}},
    "branch": {"model.sharing": {"name": "branch", "at": "layer2"}},
    "joint": {"joint": {"term": {"name": "pairwise"}}},
    "attention": {"heads.gender.net": {"name": "attention", "num_heads": 2, "width": 8}},
}


def paths(root: Path, num: int = 5) -> list[Path]:
    return sorted((root / "eval" / "images").iterdir())[:num]


def explain(explainer: Explainer, files: list[Path]) -> list[Explanation]:
    batches = explainer.batches(ImageInput(str(path), path) for path in files)
    return [one for batch in batches for one in explainer.explain(batch)]


def check_agrees(trained: Path, files: list[Path]) -> list[Explanation]:
    """Asserts that labels and probabilities are the predictor's, and maps what they must be."""
    found = explain(Explainer.load(trained), files)
    predicted = Predictor.load(trained).predict(files)
    assert [one.image for one in found] == list(predicted.images)
    for one, other in zip(found, predicted, strict=True):
        assert {heat.head: heat.label for heat in one.tasks} == other.labels
        assert one.joint.label == other.class_name
        assert one.joint.prob == pytest.approx(other.class_prob, abs=1e-5)
        for heat in one.tasks:
            assert heat.prob == pytest.approx(other.probs[heat.head][heat.label], abs=1e-5)
        for heat in one.maps:
            assert heat.values.shape == (64, 48)
            assert heat.values.dtype == np.float32
            assert heat.values.min() >= 0
            assert heat.values.max() in (0, pytest.approx(1))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run(kind: str, tiny: Callable[..., Config], drawn: Path, tmp_path: Path) -> None:
    run(tiny(SMALL | KINDS[kind]), tmp_path / "run")
    found = check_agrees(tmp_path / "run", paths(drawn))
    assert any(heat.values.any() for one in found for heat in one.maps)
    methods = {heat.head: heat.method for heat in found[0].maps}
    expected = dict.fromkeys(("mask", "gender", "age", "joint"), "Grad-CAM")
    if kind == "attention":
        expected["gender"] = "attention weights"
    assert methods == expected
    if kind == "flat":  # one head, and yet every task has evidence of its own
        assert any(not np.array_equal(one.tasks[0].values, one.tasks[1].values) for one in found)


def test_folds_are_the_mean_of_their_maps(tiny: Callable[..., Config], drawn: Path, tmp_path: Path) -> None:
    run_folds(tiny(SMALL | {"data.val_fraction": 0.2}), 2, tmp_path / "run")
    found = check_agrees(tmp_path / "run", paths(drawn))
    whole = Explainer.load(tmp_path / "run")
    networks = whole._networks
    assert len(networks) == 2
    singles = []
    for network in networks:
        whole._networks = [network]
        singles.append(explain(whole, paths(drawn)))
    for one, first, second in zip(found, *singles, strict=True):
        labels = {(single.tasks[1].label) for single in (one, first, second)}
        if len(labels) == 1:  # else each was asked for another
            mean = (first.tasks[1].values + second.tasks[1].values) / 2
            np.testing.assert_allclose(one.tasks[1].values, mean / max(mean.max(), 1e-9), atol=1e-5)


def test_an_exported_file_has_no_gradients(tmp_path: Path) -> None:
    path = tmp_path / "run.onnx"
    path.write_bytes(b"x")
    with pytest.raises(UserError, match=r"run\.onnx: an exported file has no gradients to explain with"):
        Explainer.load(path)
