"""The images on a run's page where some labels are not known."""

from __future__ import annotations

from pathlib import Path

from multitask.config import Config
from multitask.evaluation.predictions import Predictions
from multitask.labels import MISSING
from multitask.runs.config import read_run
from multitask.runs.page import write_page
from multitask.runs.run import run
from multitask.settings import override, validate
from multitask.testing.example_run import TINY
from tests.parsed_page import Page


def two_halves(drawn: Path) -> Config:
    """A config of the drawn set twice: once its masks alone, once its gender and age."""
    parts = {"masks": ["mask"], "people": ["gender", "age"]}
    sources = {
        name: {"root": str(drawn), "source": {"name": "competition"}, "tasks": tasks} for name, tasks in parts.items()
    }
    changes = {"data.root": "", "data.source": {"name": "several", "sources": sources}, "training.epochs": 1}
    changes["training.monitor"] = "tasks.mask.macro_f1"
    return validate(Config, override(Config, dict(TINY), changes))


def test_mistakes_are_those_of_the_labels_that_are_known(drawn: Path, tmp_path: Path) -> None:
    config, folder = two_halves(drawn), tmp_path / "run"
    run(config, folder)
    page = Page(write_page(read_run(folder), "val").read_text(encoding="utf-8"))
    found = Predictions.from_csv(folder / "predictions-val.csv", config.space(), config.learned_space())
    wrong = (found.labels != MISSING) & (found.labels != found.space.decode(found.predicted))
    shown = page.section("mistakes")
    assert wrong.any()
    assert "a dash is a label that is not given" in shown
    given = [each["attrs"]["alt"] for each in page.all("img") if ", given " in (each["attrs"]["alt"] or "")]
    assert given
    for text in given:
        image, labels, predicted = text.replace(", given ", "|").replace(", predicted ", "|").split("|")
        row = found.images.tolist().index(image)
        known = [
            "–" if label == MISSING else task.classes[label]
            for task, label in zip(found.space.tasks, found.labels[row], strict=True)
        ]
        assert labels == "/".join(known)
        assert predicted == found.space.class_names[found.predicted[row]]
        assert wrong[row].any()
    captions = page.section("augmented")
    assert "–/male/" in captions.replace(" ", "")
    assert "not labelled" not in captions
