from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.errors import UserError
from multitask.inference.predictor import Predictor
from multitask.inference.spec import InferenceSpec, task_specs
from multitask.labels import LabelSpace, Task


@pytest.fixture(scope="module")
def spec(trained_path: Path) -> InferenceSpec:
    return Predictor.load(trained_path).spec


def test_a_spec_is_read_as_it_was_written(spec: InferenceSpec) -> None:
    text = spec.to_json()
    assert "\n" not in text
    assert InferenceSpec.from_json(text, "here") == spec


def test_classes_that_cannot_occur_are_kept(spec: InferenceSpec) -> None:
    space = LabelSpace([Task("a", ("x", "y")), Task("b", ("u", "v"))], [{"a": "y", "b": "v"}])
    for heads in (space, space.flattened()):
        kept = spec.model_copy(
            update={
                "tasks": task_specs(space),
                "heads": task_specs(heads),
                "impossible": (3,),
                "temperatures": {},
                "calibration": None,
                "grouping": None,
            }
        )
        again = InferenceSpec.from_json(kept.model_copy(update={"rule": type(spec.rule)()}).to_json(), "here")
        assert again.space.possible.tolist() == again.learned.possible.tolist() == [True, True, True, False]
        assert again.learned == heads


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda data: "{", "here: its specification is damaged"),
        (lambda data: [], "here: is of version None"),
        (lambda data: {**data, "version": 2}, "here: is of version 2, and this program reads 1; export the run again"),
        (lambda data: {**data, "image_size": [0, 1]}, "here: image_size"),
        (lambda data: {**data, "heads": data["heads"][:2]}, "heads: have other classes than tasks"),
        (lambda data: {**data, "impossible": [99]}, "here: "),
        (lambda data: {**data, "more": 1}, "unknown key"),
        (lambda data: {**data, "mean": []}, "here: mean"),
        (lambda data: {**data, "std": [0.5, 0.0, 0.5]}, "here: std"),
        (lambda data: {**data, "temperatures": {"mask": 1.0}}, "temperatures: must be of mask, gender, age, found"),
        (
            lambda data: {**data, "tasks": [{**data["tasks"][0], "classes": ["wear"] * 3}, *data["tasks"][1:]]},
            "a class stands twice in",
        ),
    ],
)
def test_a_damaged_spec_is_refused_in_one_line(change: Callable[[Any], Any], match: str, spec: InferenceSpec) -> None:
    changed = change(json.loads(spec.to_json()))
    with pytest.raises(UserError, match=match) as caught:
        InferenceSpec.from_json(changed if isinstance(changed, str) else json.dumps(changed), "here")
    assert "\n" not in str(caught.value)
