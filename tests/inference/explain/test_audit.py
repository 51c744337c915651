"""An audit names the head that a planted shortcut decides, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multitask.config import Config
from multitask.data.images import Preprocessing
from multitask.data.samples import Samples
from multitask.data.synthetic import draw_set
from multitask.errors import UserError
from multitask.evaluation.evidence import Explanation
from multitask.inference.explain.audit import audit_evidence, audited_runs
from multitask.inference.explain.parts import DataBox, DetectedFace, NamedRegion, Part, choose_part
from multitask.labels import LabelSpace, Task
from multitask.progress import Progress
from multitask.reporting.explain.report_schema import EvidenceReport
from multitask.runs.config import read_run
from multitask.runs.cross_validation import run_folds
from multitask.runs.run import run
from multitask.testing import tiny_run

CORNER = (0.0, 0.0, 0.25, 0.25)
SPACE = LabelSpace([Task("shape", ("round", "square"))])


def plant(root: Path) -> None:
    """Paints a corner of every image of a woman."""
    for folder in (root / "train" / "images").glob("*_female_*"):
        for path in folder.iterdir():
            image = Image.open(path).convert("RGB")
            image.paste((255, 0, 255), (0, 0, image.width // 4, image.height // 4))
            image.save(path)


def audit(path: Path, part: Part, split: str = "val", num: int = 3) -> tuple[EvidenceReport, list[Explanation]]:
    trained = read_run(path)
    return audit_evidence(trained, split, part, audited_runs(trained, split), Progress(), num)


def test_a_planted_shortcut_is_named(tiny: Callable[..., Config], tmp_path: Path) -> None:
    draw_set(tmp_path / "set", people=40, seed=5)
    plant(tmp_path / "set")
    options = {"channels": [8, 16, 16, 32], "output_stride": 16}
    settings = {
        "data.root": str(tmp_path / "set"),
        "data.image_size": [64, 48],
        "augment.strength": 0.0,
        "data.val_fraction": 0.5,
        "training.epochs": 10,
        "training.lr": 4e-3,
        "model.backbone": {"name": "resnet10t", "weights": "none", "options": options},
    }
    found = run(tiny(settings), tmp_path / "run")
    assert found.report.tasks["gender"].macro_f1 > 0.9  # else there is no shortcut to be found
    report, examples = audit(tmp_path / "run", NamedRegion(CORNER))
    heads = {row.head: row for row in report.heads}
    assert list(heads) == ["mask", "gender", "age", "joint"]
    assert heads["gender"].verdict == "far inside"
    assert [name for name in ("mask", "age") if heads[name].verdict == "far inside"] == []
    odds = {name: row.odds or 0 for name, row in heads.items()}
    assert odds["gender"] > 1.5 * max(odds["mask"], odds["age"])
    labels = {(row.head, row.label): row.odds or 0 for row in report.labels}
    assert max(labels, key=labels.__getitem__) == ("gender", "female")
    assert any(sentence.startswith("gender relies on the region: ") for sentence in report.sentences)
    assert report.num_images == sum(row.num_images for row in report.labels if row.head == "mask")
    assert len(examples) == 3
    np.testing.assert_allclose(examples[0].box, [0, 0, 12, 16])


def test_folds_are_audited_by_the_network_that_never_saw_the_image(tiny: Callable[..., Config], tmp_path: Path) -> None:
    run_folds(tiny({"data.val_fraction": 0.2, "training.epochs": 1}), 2, tmp_path / "run")
    trained = read_run(tmp_path / "run")
    runs = audited_runs(trained, "val")
    assert [one.folder.name for one, _ in runs] == ["run/folds/0", "run/folds/1"]
    everybody = [set(samples.images) for _, samples in runs]
    assert not everybody[0] & everybody[1]
    report, _ = audit(tmp_path / "run", NamedRegion((0, 0, 1, 1)))
    assert report.num_images == sum(map(len, everybody))
    assert report.heads[0].share == pytest.approx(1)
    assert report.heads[0].verdict == "neither"  # all of the evidence, and all of the area


def samples(root: Path, boxes: list[list[float]] | None) -> Samples:
    for index in range(2):
        Image.new("RGB", (100, 50)).save(root / f"{index}.png")
    names = ["0.png", "1.png"]
    found = Samples.from_values(SPACE, root, names, names, {"shape": ["round", "square"]}, "test")
    return found if boxes is None else replace(found, boxes=np.array(boxes))


def test_the_part_is_what_is_asked_for_else_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Preprocessing((20, 20), fit="stretch")
    boxed = samples(tmp_path, [[10, 10, 50, 25], [np.nan] * 4])
    region = choose_part(boxed, plain, (0.5, 0, 1, 0.25))
    np.testing.assert_allclose(region.find(boxed, 0, None, plain), [10, 0, 20, 5])
    part = choose_part(boxed, plain)
    assert isinstance(part, DataBox)
    np.testing.assert_allclose(part.find(boxed, 0, None, plain), [2, 4, 10, 10])
    assert part.find(boxed, 1, None, plain) is None
    monkeypatch.setattr(Preprocessing, "locate", lambda self, path: np.array([0.0, 0.0, 100.0, 25.0]))
    face = DetectedFace(plain)
    np.testing.assert_allclose(face.find(boxed, 0, None, plain), [0, 0, 20, 10])


@pytest.mark.parametrize("region", [(0.5, 0, 0.5, 1), (0, 0, 1, 1.2), (-0.1, 0, 1, 1), (0, float("nan"), 1, 1)])
def test_a_region_that_is_none(region: tuple[float, float, float, float], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--region: must be left, top, right, bottom from 0 to 1"):
        choose_part(samples(tmp_path, None), Preprocessing((20, 20)), region)


def test_without_boxes_it_says_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--audit: the data has no boxes; .*--face-model.*--region"):
        choose_part(samples(tmp_path, [[np.nan] * 4] * 2), Preprocessing((20, 20)))


class Nowhere(Part):
    name = "face"

    def find(self, *_: object) -> None:
        return None


def test_a_part_that_no_image_has(tmp_path: Path) -> None:
    path = tiny_run(tmp_path)
    with pytest.raises(UserError, match=r"^--audit: none of \d+ images of val has a face"):
        audit(path, Nowhere())
