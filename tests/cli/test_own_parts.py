"""The example of a loss, a head and a source of one's own in ``configs/README.md``, run as a reader would."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from multitask.data.sources import SOURCES, CompetitionSettings
from multitask.labels import LabelSpace, Task
from multitask.settings.extensions import temporary_extensions
from multitask.settings.yaml_text import dump_yaml, parse_yaml, read_yaml
from multitask.study.folder import StudyFolder
from multitask.testing import check_source

Call = Callable[..., Any]
README = Path(__file__).parents[2] / "configs" / "README.md"
SECTION = README.read_text(encoding="utf-8").partition("## Your own loss, head, source\n")[2].partition("\n## ")[0]
PYTHON = re.findall(r"^```python\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
SPACE = LabelSpace(
    [
        Task("mask", ("wear", "incorrect", "not_worn")),
        Task("gender", ("male", "female")),
        Task("age", ("<30", "30-60", ">=60"), "binned", (30.0, 60.0)),
    ]
)


@pytest.fixture(autouse=True)
def _gone_afterwards() -> Iterator[None]:
    with temporary_extensions():
        yield


@pytest.fixture
def folder(drawn: Path, tmp_path: Path) -> Path:
    """``my_parts.py`` and ``mine.yaml`` as the page has them, of the drawn set, in that layout."""
    root = tmp_path / "my-images"
    shutil.copytree(drawn, root)
    samples = CompetitionSettings().samples(drawn, SPACE)
    with (root / "labels.jsonl").open("w") as file:
        for image, group, labels, numbers in zip(
            samples.images, samples.groups, samples.labels, samples.numbers, strict=True
        ):
            named = {task.name: task.classes[label] for task, label in zip(SPACE.tasks, labels, strict=True)}
            file.write(json.dumps({"image": image, "group": group, **named, "age": float(numbers[2])}) + "\n")
    (tmp_path / "my_parts.py").write_text(PYTHON[0])
    (example,) = re.findall(r"^```yaml\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
    data = parse_yaml(example, "README.md")
    (own,) = [section for section in data["heads"].values() if section]
    data["heads"] = {"mask": own}
    data["labels"]["tasks"] = {
        "mask": {"classes": ["wear", "incorrect", "not_worn"]},
        "gender": {"classes": ["male", "female"]},
        "age": {"kind": "binned", "edges": [30, 60]},
    }
    data["data"] |= {"val_fraction": 0.3, "image_size": [32, 24]}
    data["model"] = {"backbone": {"name": "test_resnet", "weights": "none"}}
    data["training"] = {"epochs": 1, "batch_size": 16, "schedule": {"warmup_epochs": 0}}
    (tmp_path / "mine.yaml").write_text(dump_yaml(data))
    return tmp_path


def test_it_trains_answers_and_is_studied(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, forked_workers: None
) -> None:
    monkeypatch.chdir(folder)
    assert call("train", "mine.yaml").refusal().endswith("look at it, then say --allow-extensions")
    trained = call("train", "mine.yaml", "--allow-extensions", "--out", "run", "-q")
    assert trained.code == 0, trained.err
    kept = read_yaml(folder / "run" / "config.yaml")
    assert kept["extensions"] == [str(folder / "my_parts.py")]
    assert kept["data"]["source"] == {"name": "lines", "file": "labels.jsonl"}
    assert kept["heads"]["mask"]["loss"]["scale"] == 0.5
    assert kept["heads"]["mask"]["net"]["name"] == "normed"
    answered = call("predict", "run", "--data", "my-images", "-o", "answers.csv", "-q")
    assert answered.code == 0, answered.err
    assert len((folder / "answers.csv").read_text().splitlines()) == 1 + 12 * 7

    space = {"heads.mask.loss.scale": {"low": 0.5, "high": 2.0}}
    study = {"name": "mine", "base": "mine.yaml", "budget": {"trials": 2}, "space": space}
    (folder / "study.yaml").write_text(dump_yaml(study))
    done = call("study", "study.yaml", "--allow-extensions", "--out", "study", "-q")
    assert done.code == 0, done.err
    report = json.loads(StudyFolder(folder / "study").report.read_text())
    assert [trial["state"] for trial in report["trials"]] == ["finished"] * 2


def test_it_keeps_the_contracts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder)
    exec(compile(PYTHON[1], "README.md", "exec"), {})
    root = folder / "my-images"
    check_source(SOURCES["lines"](name="lines"), root, SPACE)
    del sys.modules["my_parts"]
