"""The parity table: kinds of networks x engines x precisions, and every fitted decode rule, against the run itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from multitask.config import Config
from multitask.evaluation.decode import DECODE_RULES, FITTED_RULES, DecodeRule, ModelOutputs
from multitask.evaluation.decode.outputs import FLOOR
from multitask.inference.engines import ENGINES
from multitask.inference.engines.exported import ExportedSettings
from multitask.inference.engines.onnxruntime import open_session
from multitask.inference.export.export import ExportSource
from multitask.inference.export.exported import IMAGES, Precision
from multitask.inference.export.graph import Scorer, to_onnx
from multitask.inference.predictor import Predictor
from multitask.labels import LabelSpace, Task
from multitask.runs.config import read_run
from multitask.runs.cross_validation import run_folds
from multitask.settings import override, validate
from multitask.testing import tiny_run
from multitask.testing.decode_rules import make_known
from multitask.testing.example_run import TINY

CONVOLUTIONS = {"name": "resnet10t", "weights": "none", "options": {"channels": [8, 16, 16, 32]}}
BLOCKS = {"name": "test_vit", "weights": "none", "options": {"depth": 2}}
JOINT_TERM = {"joint": {"term": "pairwise"}}
ATTENTION = {"heads": {"age": {"net": {"name": "attention", "num_heads": 2, "width": 8}}}}
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "run": {"model.backbone": CONVOLUTIONS},
    "folds with a joint term": JOINT_TERM,
    "flat": {"model.sharing": "flat"},
    "branch": {"model.sharing": {"name": "branch", "at": "blocks.0"}},
    "attention head": ATTENTION,
}
EXPORTED = [name for name, row in ENGINES.items() if issubclass(row, ExportedSettings)]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
LIMITS: Mapping[Precision, float] = {"fp32": 1e-4, "fp16": 0.02, "int8": 0.5}
"""Of the difference of log-probabilities, relative where they are beyond 1."""


@pytest.fixture(scope="module", params=NETWORKS)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExportSource]:
    """A run's folder, and it ready to be written."""
    folder = tmp_path_factory.mktemp("parity")
    small = {"data.image_size": [32, 32], "model.backbone": BLOCKS}
    changes = {**small, **NETWORKS[request.param]}
    if request.param.startswith("folds"):
        tiny_run(folder, small)  # which draws the set
        changes |= {"data.root": str(folder / "set"), "data.val_fraction": 0.2, "training.epochs": 1}
        path = folder / "folds"
        run_folds(validate(Config, override(Config, dict(TINY), changes)), 2, path)
    else:
        path = tiny_run(folder, changes)
    return path, ExportSource.of(read_run(path))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_engine_gives_what_the_run_gives(
    precision: Precision, source: tuple[Path, ExportSource], tmp_path: Path
) -> None:
    path, ready = source
    result = ready.write(tmp_path / "run.onnx", precision)
    found = result.exported.record.difference
    assert max(found.log_probs, found.class_probs) <= LIMITS[precision]
    assert found.agreement == 1 if precision == "fp32" else found.agreement > 0.7
    assert (result.notes, result.exported.record.images) == ((), "training")
    run = Predictor.load(path, engine="torch")
    pixels = ready.images.pixels
    expected = run.engine.outputs(pixels)
    for name in EXPORTED:
        engine = Predictor.load(tmp_path / "run.onnx", engine=name).engine
        assert engine.spec == run.spec
        for rows in (slice(1), slice(2), slice(3, 36)):
            outputs = engine.outputs(pixels[rows])
            assert list(outputs.tables()) == list(expected.tables())
            for head, values in expected.tables().items():
                gap = np.abs(outputs.tables()[head] - values[rows]) / np.maximum(1, np.abs(values[rows]))
                assert gap.max() <= LIMITS[precision], (name, head)


SPACE = LabelSpace([Task("size", ("s", "m", "l")), Task("colour", ("red", "blue"))], [{"size": "s", "colour": "red"}])


class EveryRule(nn.Module):
    """The class that each fitted rule decides for, by its name.

    The outputs of images stand in a table; an image's first value is its row.
    """

    def __init__(self, rules: Mapping[str, DecodeRule], outputs: ModelOutputs) -> None:
        super().__init__()
        tables = {name: np.where(values > FLOOR, values, -np.inf) for name, values in outputs.tables().items()}
        self.tables = {name: torch.from_numpy(values).float() for name, values in tables.items()}
        scores = {name: rule.class_score(SPACE, outputs.joint is not None) for name, rule in rules.items()}
        self.scorers = nn.ModuleDict({name: Scorer(score, SPACE) for name, score in scores.items() if score})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        log_probs = {name: table[images[:, 0, 0, 0].long()] for name, table in self.tables.items()}
        return {name: scorer(log_probs).argmax(dim=1) for name, scorer in self.scorers.items()}


@pytest.mark.parametrize("joint", [False, True])
def test_graphs_decide_as_every_fitted_rule_does(joint: bool) -> None:
    known = make_known(SPACE, joint=joint)
    rules = {name: DECODE_RULES[name]().fit(known, None, 0) for name in FITTED_RULES}
    model = to_onnx(EveryRule(rules, known.outputs).eval(), list(rules), (1, 1))
    pixels = np.arange(len(known), dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    found = dict(zip(rules, open_session(model, 1).run(list(rules), {IMAGES: pixels}), strict=True))
    decided = {name: rule.decode(known.outputs).tolist() for name, rule in rules.items()}
    assert len({tuple(classes) for classes in decided.values()}) > 3  # or the rules tell nothing apart
    assert {name: classes.tolist() for name, classes in found.items()} == decided
