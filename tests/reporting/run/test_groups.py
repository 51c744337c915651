"""Answers to groups in words, on the page and on the console."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from multitask.evaluation.grouped_schema import UNCOMPARED, GroupedLabelling, GroupedScores
from multitask.evaluation.scores import ClassScores, LabellingScores
from multitask.reporting import console as reporting_console
from multitask.reporting.run import console
from multitask.reporting.run.groups import groups_in_words, groups_view

SCORES = LabellingScores(
    num_images=14,
    num_groups=2,
    accuracy=0.8,
    accuracy_ci=(0.7, 0.9),
    macro_f1=0.6,
    macro_f1_ci=None,
    ece=0.1,
    absent_classes=(),
    classes=tuple(ClassScores(name, 7, 0.8, 0.8, 0.8) for name in "ab"),
    confusion=((7, 0), (0, 7)),
    reliability=(),
)
BETTER = GroupedLabelling(
    scores=SCORES,
    accuracy_difference=0.024,
    accuracy_difference_ci=(-0.002, 0.05),
    macro_f1_difference=-0.01,
    macro_f1_difference_ci=(-0.03, 0.01),
)
UNKNOWN = GroupedLabelling(scores=replace(SCORES, accuracy=None, accuracy_ci=None, macro_f1=None))
GROUPED = GroupedScores(
    per_group=("gender", "age"),
    declared=("age",),
    num_groups=2,
    pooling="mean",
    sentence="mean has the best score",
    decode="head_bias",
    cross_fitted=True,
    joint=BETTER,
    tasks={"mask": UNKNOWN, "gender": BETTER},
)


def test_the_classes_are_first_and_differences_have_a_sign() -> None:
    view = groups_view(GROUPED)
    assert view is not None
    assert [(row.name, row.per_group) for row in view.rows] == [("joint", False), ("mask", False), ("gender", True)]
    joint, mask = view.rows[:2]
    assert (joint.accuracy_gap, joint.accuracy_gap_interval) == ("+.024", "−.002 to +.050")
    assert (joint.macro_f1_gap, joint.macro_f1_gap_interval) == ("−.010", "−.030 to +.010")
    assert (mask.accuracy_gap, mask.accuracy_gap_interval) == ("–", "")
    assert groups_view(None) is None


def test_sentences_say_what_is_pooled_how_and_why() -> None:
    assert groups_in_words(GROUPED) == (
        "The same in all images of a group, and so answered from all of them: gender, age (declared); 2 groups have "
        "two or more.",
        "Pooling: mean has the best score.",
        "The pooling, and the decode rule after it (head_bias), were fitted on other groups.",
    )
    apart = groups_in_words(replace(GROUPED, pooling="none"))[0]
    assert apart.startswith("The same in all images of a group: gender, age")  # each is answered from itself
    assert groups_in_words(replace(GROUPED, cross_fitted=False))[-1].endswith("were fitted before.")
    assert groups_in_words(replace(GROUPED, sentence=UNCOMPARED))[-1] == "The decode rule after it is head_bias."


def test_the_console_has_the_difference_within_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    printer = Console(file=written, width=80)
    monkeypatch.setattr(reporting_console, "out", printer)
    console._show_groups(GROUPED)
    text = written.getvalue()
    assert "answered for groups, mean pooling" in text
    assert "-0.010 (-0.030 to +0.010)" in text
    # A row that is broken has its brackets in two lines.
    assert all(line.count("(") == line.count(")") for line in text.split("The same in all")[0].splitlines())
    assert "gender, age (declared)" in " ".join(text.split())
    console._show_groups(None)
    assert written.getvalue() == text
