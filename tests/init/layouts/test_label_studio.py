from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from multitask.init import Options, propose
from tests.init.layouts.known import Make, layout_of, refused
from tests.init.made import add_images


def choice(control: str, *choices: str, kind: str = "choices") -> dict[str, Any]:
    value = list(choices) if kind == "choices" else int(choices[0])
    return {"from_name": control, "to_name": "image", "type": kind, "value": {kind: value}}


def task(image: str, *annotations: list[dict[str, Any]], cancelled: bool = False) -> dict[str, Any]:
    done = [{"result": result, "was_cancelled": cancelled} for result in annotations]
    return {"id": 1, "data": {"image": image}, "annotations": done}


def test_label_studio(tmp_path: Path, written: Make) -> None:
    add_images(tmp_path / "set", (f"images/im {row}.jpg" for row in range(40)))
    tasks = []
    for row in range(38):
        answer = [choice("kind", ("cat", "dog")[row % 2]), choice("age", str(row // 2), kind="number")]
        name = f"/data/upload/3/{row:08x}-im%20{row}.jpg" if row % 3 else f"/data/local-files/?d=images/im%20{row}.jpg"
        tasks.append(task(name, answer))
    tasks[4]["annotations"] *= 2
    tasks[4]["annotations"] += [{"result": [choice("kind", "dog")]}]
    tasks[6]["annotations"] += [{"result": [choice("kind", "dog")]}]
    tasks += [task("/data/upload/3/im%2038.jpg"), task("im 39.jpg", [choice("kind", "cat")], cancelled=True)]
    file = tmp_path / "set" / "project-1.json"
    file.write_text(json.dumps(tasks))
    assert layout_of(tmp_path / "set") == layout_of(file) == "label_studio"
    found = written(file)
    assert len(found.samples) == 38
    assert found.labels("images/im 4.jpg")["kind"] == "cat"
    assert found.labels("images/im 6.jpg")["kind"] is None
    assert found.labels("images/im 7.jpg")["kind"] == "dog"
    assert found.config.space().tasks[0].kind == "binned"
    assert "2 images have no label and are left out" in found.proposal.check


def test_label_studio_json_min(tmp_path: Path, written: Make) -> None:
    add_images(tmp_path / "set", (f"{row}.jpg" for row in range(24)))
    rows = [
        {
            "image": f"/data/upload/1/{row:08x}-{row}.jpg",
            "id": row,
            "annotation_id": row,
            "kind": ("cat", "dog")[row % 2],
            "seen": {"choices": ["front", "side"] if row % 3 else ["front"]},
        }
        for row in range(24)
    ]  # fmt: skip
    (tmp_path / "set" / "min.json").write_text(json.dumps(rows))
    found = written(tmp_path / "set")
    assert found.classes() == {"kind": ("cat", "dog"), "seen": ("front", "front and side")}
    assert found.labels("7.jpg") == {"kind": "dog", "seen": "front and side"}


def test_what_label_studio_knows_beside_an_image_groups_and_splits_but_labels_only_where_named(
    tmp_path: Path, written: Make
) -> None:
    add_images(tmp_path / "set", (f"{row}.jpg" for row in range(48)))
    tasks = [task(f"{row}.jpg", [choice("kind", ("cat", "dog")[row % 2])]) for row in range(48)]
    for row, one in enumerate(tasks):
        one["data"] |= {"patient": f"p{row // 4}", "ward": f"w{row // 8}", "side": ("left", "right")[row // 2 % 2]}
        one["data"]["fold"] = "val" if row < 8 else "train"
    (tmp_path / "set" / "export.json").write_text(json.dumps(tasks))
    found = written(tmp_path / "set")
    assert found.classes() == {"kind": ("cat", "dog")}
    assert found.samples.num_groups == 12
    assert found.proposal.check == ()
    assert "fold says who does what: train, val" in found.proposal.assumed
    named = propose(tmp_path / "set", tmp_path / "config.yaml", Options(labels=("kind", "side"), group="ward"))
    assert "side: {classes: [left, right]}" in named.text
    assert "ward says which images stay together (6 groups)" in named.assumed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[{"data": {"image": "0.jpg"}, "annotations": [', "is damaged, or no JSON"),
        ("[]", "must be a list of tasks"),
        ('{"a": 1}', "must be a list of tasks"),
        ('[{"data": {"text": "hello"}, "annotations": []}]', "entry 0 names no image"),
        ('[{"data": {"image": "0.jpg"}, "annotations": [{"result": []}]}]', "holds no choices"),
        ('[{"data": {"image": "0.jpg"}, "annotations": 7}]', "holds no choices"),
    ],
)
def test_label_studio_that_is_damaged(tmp_path: Path, text: str, reason: str) -> None:
    add_images(tmp_path / "set", ["0.jpg"])
    (tmp_path / "set" / "export.json").write_text(text)
    assert reason in refused(tmp_path / "set" / "export.json")
