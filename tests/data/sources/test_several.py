"""Several sources as one: each labels what it knows, nobody's image or group is taken for another's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multitask.data.samples import Samples
from multitask.data.sources.several import SeveralSettings
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace, Task
from multitask.settings import problems

SPACE = LabelSpace(
    [
        Task("garment", ("shirt", "skirt")),
        Task("price", ("cheap", "dear"), "binned", (20.0,)),
        Task("colour", ("red", "blue")),
    ]
)


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """A table that says price and colour, and folders that say the garment."""
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "train.csv").write_text(
        "path,price,colour,who\na.jpg,30,red,1\nb.jpg,5,blue,1\nc.jpg,5,,2\n"
    )
    for folder in ("shirt", "skirt"):
        (tmp_path / "shapes" / "train" / folder).mkdir(parents=True)
        (tmp_path / "shapes" / "train" / folder / "a.jpg").touch()
    return tmp_path


def settings(roots: Path, **changes: Any) -> dict[str, Any]:
    return {
        "sources": {
            "prices": {
                "root": str(roots / "prices"),
                "source": {"group": "who", "id": "who", **changes.pop("table", {})},
                "tasks": ["colour", "price"],
            },
            "shapes": {
                "root": str(roots / "shapes"),
                "source": {"name": "folders", "pattern": "{garment}"},
                "tasks": ["garment"],
            },
        },
        **changes,
    }


def read(roots: Path, space: LabelSpace = SPACE, **changes: Any) -> Samples:
    source = SeveralSettings.model_validate(settings(roots, **changes))
    source.check(space)
    return source.samples(Path(), space)


def test_what_a_source_does_not_label_is_missing(roots: Path) -> None:
    samples = read(roots)
    missing = MISSING
    assert samples.labels.tolist() == [
        [missing, 1, 0],
        [missing, 0, 1],
        [missing, 0, missing],
        [0, missing, missing],
        [1, missing, missing],
    ]
    np.testing.assert_array_equal(samples.numbers[:, 1], [30, 5, 5, np.nan, np.nan])
    assert np.isnan(samples.numbers[:, [0, 2]]).all()
    assert (samples.classes == MISSING).all()
    assert samples.sources.tolist() == ["prices"] * 3 + ["shapes"] * 2


def test_images_and_groups_of_one_name_in_two_sources_are_two(roots: Path) -> None:
    samples = read(roots)
    assert samples.images.tolist() == [
        "prices/a.jpg",
        "prices/b.jpg",
        "prices/c.jpg",
        "shapes/train/shirt/a.jpg",
        "shapes/train/skirt/a.jpg",
    ]
    assert samples.groups.tolist()[:3] == ["prices/1", "prices/1", "prices/2"]
    assert samples.paths()[0] == roots / "prices" / "a.jpg"
    assert samples.paths()[4] == roots / "shapes" / "train" / "skirt" / "a.jpg"
    assert samples.take(np.array([4])).paths()[0].is_file()
    assert samples.ids is not None
    assert samples.ids.tolist() == ["1", "1", "2", "", ""]


def test_groups_may_be_shared(roots: Path) -> None:
    assert read(roots, shared_groups=True).groups.tolist()[:3] == ["1", "1", "2"]


def test_where_only_one_says_who_validates_the_rest_is_not_said(roots: Path) -> None:
    rows = "a.jpg,30,red,1,val\nb.jpg,5,blue,1,val\nc.jpg,5,,2,train\n"
    (roots / "prices" / "train.csv").write_text("path,price,colour,who,part\n" + rows)
    samples = read(roots, table={"split": "part"})
    assert samples.sides is not None
    assert samples.sides.tolist() == [1, 1, 0, MISSING, MISSING]


def test_queries_are_those_of_one_source(roots: Path) -> None:
    source = SeveralSettings.model_validate(settings(roots, query_source="shapes"))
    (roots / "shapes" / "eval" / "skirt").mkdir(parents=True)
    (roots / "shapes" / "eval" / "skirt" / "q.jpg").touch()
    assert list(source.queries(roots / "shapes").ids) == ["skirt/q.jpg"]
    answered = source.answered(Path(), SPACE)
    assert answered.images.tolist() == ["shapes/eval/skirt/q.jpg"]
    assert answered.paths()[0].is_file()
    assert answered.labels.tolist() == [[1, MISSING, MISSING]]


def test_a_wrong_row_is_named_with_its_own_file(roots: Path) -> None:
    (roots / "prices" / "train.csv").write_text("path,price,colour,who\na.jpg,30,rd,1\n")
    with pytest.raises(UserError, match=r"prices/train\.csv, line 2: colour: unknown class 'rd'; did you mean 'red'"):
        read(roots)


@pytest.mark.parametrize(
    ("part", "key", "value", "line"),
    [
        ("prices", "tasks", ["colr"], "sources.prices.tasks: labels.tasks has no task 'colr'; did you mean 'colour'?"),
        ("prices", "tasks", ["price"], "sources: none of them labels 'colour'"),
        ("shapes", "tasks", ["colour"], "sources.shapes.source.pattern: labels.tasks has no task 'garment'"),
    ],
)
def test_tasks_must_fit_the_label_space(roots: Path, part: str, key: str, value: list[str], line: str) -> None:
    data = settings(roots)
    data["sources"][part][key] = value
    with pytest.raises(UserError) as caught:
        SeveralSettings.model_validate(data).check(SPACE)
    assert str(caught.value).startswith(line)


def test_settings_that_cannot_be(roots: Path) -> None:
    data = settings(roots)
    found = problems(SeveralSettings, {**data, "query_source": "shape"})
    assert found == ["query_source: there is no source 'shape'; did you mean 'shapes'?"]
    assert "sources" in problems(SeveralSettings, {"sources": {"prices": data["sources"]["prices"]}})[0]
    assert problems(SeveralSettings, {**data, "target": "prizes"}) == [
        "target: there is no source 'prizes'; did you mean 'prices'?"
    ]
    data["sources"]["a/b"] = data["sources"].pop("prices")
    assert problems(SeveralSettings, data)[0].startswith("sources: a name is made of letters, digits and _")
    del data["sources"]["a/b"]["root"]
    assert any("root" in line for line in problems(SeveralSettings, data))


def test_only_the_target_validates_and_is_asked(roots: Path) -> None:
    samples = read(roots, target="prices")
    source = SeveralSettings.model_validate(settings(roots, target="prices"))
    found = source.validates(samples)
    assert found is not None
    assert found.tolist() == [True] * 3 + [False] * 2
    assert SeveralSettings.model_validate(settings(roots)).validates(samples) is None
    (roots / "shapes" / "queries.csv").touch()
    (roots / "prices" / "queries.csv").write_text("path\na.jpg\n")
    (roots / "prices" / "a.jpg").touch()
    shapes_first = {**settings(roots, target="prices")}
    shapes_first["sources"] = dict(reversed(shapes_first["sources"].items()))
    assert list(SeveralSettings.model_validate(shapes_first).queries(roots / "prices").ids) == ["a.jpg"]


def test_the_target_alone_may_say_who_validates(roots: Path) -> None:
    (roots / "prices" / "train.csv").write_text(
        "path,price,colour,who,split\na.jpg,30,red,1,train\nb.jpg,5,blue,2,val\n"
    )
    said = settings(roots, table={"split": "split"})
    assert SeveralSettings.model_validate({**said, "target": "prices"}).says_sides
    assert not SeveralSettings.model_validate({**said, "target": "shapes"}).says_sides
    assert not SeveralSettings.model_validate(said).says_sides


def test_a_source_that_labels_nothing_that_is_asked_is_refused(roots: Path) -> None:
    (roots / "prices" / "train.csv").write_text("path,price,colour,who\na.jpg,,,1\nb.jpg,,,1\n")
    with pytest.raises(UserError) as caught:
        read(roots)
    assert str(caught.value) == (
        "data.source.sources.prices: labels nothing that is asked: none of its 2 images has a label of price, colour; "
        "leave it out"
    )


def test_a_cover_is_for_sources_that_leave_a_task_out(roots: Path) -> None:
    data = settings(roots)
    data["sources"]["prices"]["cover"] = {"share": 0.5}
    SeveralSettings.model_validate(data).check(SPACE)
    del data["sources"]["prices"]["tasks"]
    with pytest.raises(UserError) as caught:
        SeveralSettings.model_validate(data).check(SPACE)
    assert str(caught.value) == (
        "sources.prices.cover: would hide what a label is read from: the source labels all tasks; say by tasks which "
        "it does, or leave the cover out"
    )
    data["sources"]["prices"]["cover"] = {"share": 0}
    SeveralSettings.model_validate(data).check(SPACE)


@pytest.mark.parametrize(("head", "what"), [("garment", "it"), ("joint", "all labels")])
def test_a_weight_in_a_loss_that_the_source_cannot_have_is_refused(roots: Path, head: str, what: str) -> None:
    data = settings(roots)
    data["sources"]["prices"]["weights"] = {head: 0.5}
    with pytest.raises(UserError) as caught:
        SeveralSettings.model_validate(data).check(SPACE)
    line = f"sources.prices.weights.{head}: would be ignored: the source does not label {what}"
    assert str(caught.value) == line


def test_a_weight_that_no_other_source_is_weighed_against_is_refused(roots: Path) -> None:
    data = settings(roots)
    for weight in (0, 1):  # as if its labels were not there, or as they are
        data["sources"]["prices"]["weights"] = {"price": weight}
        SeveralSettings.model_validate(data).check(SPACE)
    data["sources"]["prices"]["weights"] = {"price": 0.5}
    line = r"^sources\.prices\.weights\.price: would be ignored: no other source labels it, .* set heads\.price\.weight"
    with pytest.raises(UserError, match=line):
        SeveralSettings.model_validate(data).check(SPACE)
    data["sources"]["shapes"]["tasks"] = list(SPACE.task_names)
    data["sources"]["shapes"]["weights"] = {"joint": 0.5}
    with pytest.raises(
        UserError, match=r"^sources\.shapes\.weights\.joint: .* no other source has all labels, .* set joint"
    ):
        SeveralSettings.model_validate(data).check(SPACE)


@pytest.mark.parametrize(
    ("classes", "line"),
    [
        (
            ["blue", "red"],
            "blue, red: in another order than labels.tasks.colour, red, blue; an index would mean another",
        ),
        (["red", "green"], "red, green: others than labels.tasks.colour, red, blue; an index would mean another"),
    ],
)
def test_indices_of_classes_in_another_order_are_refused(roots: Path, classes: list[str], line: str) -> None:
    data = settings(roots, table={"tasks": {"colour": {"indices": True, "classes": classes}}})
    with pytest.raises(UserError) as caught:
        SeveralSettings.model_validate(data).check(SPACE)
    assert str(caught.value) == f"sources.prices.source.tasks.colour.classes: {line} class"
    data = settings(roots, table={"tasks": {"colour": {"indices": True, "classes": ["red", "blue"]}}})
    SeveralSettings.model_validate(data).check(SPACE)
