from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config, scored_metrics
from multitask.evaluation.report_schema import RunReport
from multitask.labels import LabelSpace, Task
from multitask.runs.run import run
from multitask.study.metrics import figure, figure_hint, figures_in_words, report_metrics
from multitask.utils.records import parse_record

NETWORKS: dict[str, dict[str, Any]] = {
    "shared": {},
    "flat": {"model.sharing.name": "flat"},
    "one task": {"labels.tasks": {"gender": {"classes": ["male", "female"]}}},
}
_NOT_OF_ANSWERS = re.compile(
    r"(training|class_distribution|decode|decode_rules|joint_term|grouped|sets|adaptive_sets|label_prior|selective|fit|first_frames|empty_cells)\."
    r"|version$"
)
"""Not of every network's answers by themselves: what is fitted after them, or needs groups that have several images."""
_MAY_BE_EMPTY = re.compile(r"\.reliability\.\d+\.(confidence|accuracy)$")
"""Of a bin in which no image fell."""


@pytest.fixture(scope="module", params=NETWORKS)
def case(
    request: pytest.FixtureRequest, tiny: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Config, dict[str, Any]]:
    """A config and the ``report.json`` of its run."""
    config = tiny({**NETWORKS[request.param], "training.epochs": 1})
    folder: Path = tmp_path_factory.mktemp("figures") / "run"
    run(config, folder)
    return config, json.loads((folder / "report.json").read_text())


def numbers(value: Any, path: str = "") -> dict[str, float]:
    """Every number in a report, by its dotted key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {key: number for name, item in items for key, number in numbers(item, f"{path}{name}.").items()}
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        found[path.rstrip(".")] = value
    return found


def test_the_metrics_are_the_numbers_that_a_real_report_says_of_the_answers(
    case: tuple[Config, dict[str, Any]],
) -> None:
    config, report = case
    metrics = set(report_metrics(config.space()))
    real = {key for key in numbers(report) if not _NOT_OF_ANSWERS.match(key)}
    assert {key for key in metrics ^ real if not _MAY_BE_EMPTY.search(key)} == set()
    assert {"joint.macro_f1", "tasks.gender.ece", "joint.classes.0.recall", "attribution.lost.gender"} <= metrics
    assert {key.partition(".")[0] for key in metrics} == {"num_images", "num_groups", "joint", "tasks", "attribution"}


def test_every_metric_can_be_read_in_a_real_report(case: tuple[Config, dict[str, Any]]) -> None:
    config, report = case
    real, read = numbers(report), parse_record(json.dumps(report), RunReport, Path("report.json"))
    for metric in report_metrics(config.space()):
        assert figure(read, metric) == real.get(metric)


@pytest.mark.parametrize("sizes", [(2,), (2, 3), (3, 2, 4), (2, 2, 2, 2)])
def test_metrics_follow_from_the_label_space_alone(sizes: tuple[int, ...]) -> None:
    tasks = [Task(f"task{index}", tuple("abcdef"[:size])) for index, size in enumerate(sizes)]
    metrics = report_metrics(LabelSpace(tasks))
    assert len(set(metrics)) == len(metrics)
    assert {f"tasks.task{index}.macro_f1" for index in range(len(sizes))} <= set(metrics)
    assert [key for key in metrics if re.fullmatch(r"joint\.classes\.\d+\.f1", key)] == [
        f"joint.classes.{index}.f1" for index in range(math.prod(sizes))
    ]


def test_metrics_of_a_space_with_cells_that_cannot_occur() -> None:
    colour, suit = Task("colour", ("red", "black")), Task("suit", ("hearts", "spades"))
    never = [{"colour": "red", "suit": "spades"}, {"colour": "black", "suit": "hearts"}]
    whole, half = LabelSpace([colour, suit]), LabelSpace([colour, suit], never)
    assert set(report_metrics(half)) <= set(report_metrics(whole))
    assert "joint.macro_f1" in report_metrics(half)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("joint.macro_f1", 0.5),
        ("joint.classes.1.f1", 0.25),
        ("joint.ci.0", 0.4),
        ("num_images", 7.0),
        ("joint.ece", None),
        ("joint.absent", None),
        ("tasks.age.macro_f1", None),
        ("joint.lost.age", None),
    ],
)
def test_a_figure_is_a_number_or_none(metric: str, value: float | None) -> None:
    joint = {"macro_f1": 0.5, "classes": [{"f1": 0.1}, {"f1": 0.25}], "ci": [0.4, 0.6], "ece": None, "lost": None}
    found = figure({"joint": joint, "num_images": 7, "tasks": {}}, metric)
    assert found == value
    assert found is None or type(found) is float


def test_a_run_in_which_nobody_validates_has_no_figures() -> None:
    assert figure(None, "joint.macro_f1") is None


def test_figures_are_told_by_their_names() -> None:
    found = figures_in_words({"joint.macro_f1": 0.51234, "joint.ece": 0.04, "joint.loss": None})
    assert found == "joint.macro_f1 0.5123, joint.ece 0.04, joint.loss unknown"


def test_report_holds_the_scores_of_every_epoch_but_the_losses() -> None:
    space = LabelSpace([Task("a", ("x", "y")), Task("b", ("u", "v", "w"), "binned", (1.0, 2.0))])
    missing = set(scored_metrics(space)) - set(report_metrics(space))
    assert missing == {"joint.loss", "tasks.a.loss", "tasks.b.loss"}


@pytest.mark.parametrize(
    ("metric", "hint"),
    [
        ("joint.loss", "'joint.macro_f1' or 'joint.accuracy'"),
        ("colour.loss", "'tasks.colour.macro_f1' or 'tasks.colour.accuracy'"),
        ("joint.f1", "'joint.macro_f1' or 'joint.accuracy'"),
        ("macrof1", "'joint.macro_f1' or 'joint.accuracy'"),
        ("joint.eec", "'joint.ece'"),
        ("coluor.macrof1", "'tasks.colour.macro_f1'"),
        ("tasks.size", "'tasks.size.macro_f1' or 'tasks.size.accuracy'"),
        ("joint.mae", "'tasks.size.number.mae'"),
        ("joint.classes.3.f2", "'joint.classes.3.f1' or"),  # nearly typed
        ("joint.clases.3.recall", "'joint.classes.3.recall' or"),
        ("joint.3.loss", "'joint.macro_f1' or 'joint.accuracy'"),
    ],
)
def test_the_hint_is_of_one_class_only_where_nearly_that_was_typed(metric: str, hint: str) -> None:
    space = LabelSpace([Task("colour", ("red", "black")), Task("size", ("s", "m", "l"), "binned", (1.0, 2.0))])
    found = figure_hint(metric, report_metrics(space))
    assert found.startswith(f"; did you mean {hint}")
    assert ("classes" in found) == ("classes" in hint)
