"""Folders whose names carry the labels: what matches is read, what does not is named with the pattern."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from multitask.data.samples import Samples
from multitask.data.sources.folders import FoldersSettings
from multitask.errors import UserError
from multitask.labels import LabelSpace, Task
from multitask.settings import problems

SPACE = LabelSpace(
    [
        Task("garment", ("shirt", "blue_shirt", "skirt")),
        Task("colour", ("red", "dark_blue", "dark")),
    ]
)


def add(root: Path, *images: str) -> None:
    for image in images:
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        (root / image).touch()


def read(root: Path, pattern: str = "{colour}_{garment}", space: LabelSpace = SPACE, folder: str = "train") -> Samples:
    return FoldersSettings(pattern=pattern, folder=folder).samples(root, space)


def refused(root: Path, pattern: str = "{colour}_{garment}", space: LabelSpace = SPACE) -> str:
    with pytest.raises(UserError) as caught:
        read(root, pattern, space)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_folder_says_two_labels_also_where_names_hold_what_parts_them(tmp_path: Path) -> None:
    add(tmp_path / "train", "red_shirt/1.jpg", "red_shirt/2.PNG", "dark_blue_skirt/1.jpeg", "red_blue_shirt/1.webp")
    samples = read(tmp_path)
    assert samples.images.tolist() == [
        "train/dark_blue_skirt/1.jpeg",
        "train/red_blue_shirt/1.webp",
        "train/red_shirt/1.jpg",
        "train/red_shirt/2.PNG",
    ]
    assert samples.labels.tolist() == [[2, 1], [1, 0], [0, 0], [0, 0]]
    assert samples.groups.tolist() == samples.images.tolist()
    assert all(path.is_file() for path in samples.paths())


def test_folders_in_folders_groups_and_numbers(tmp_path: Path) -> None:
    space = LabelSpace([SPACE.tasks[1], Task("price", ("low", "high"), "binned", (20.0,))])
    add(tmp_path, "anna/red-19.5/1.jpg", "anna/dark-20/1.jpg", "bert (2)/red-20/x/../1.jpg")
    samples = read(tmp_path, "{group}/{colour}-{price}", space, folder=".")
    assert samples.images[0] == "anna/dark-20/1.jpg"
    assert samples.groups.tolist() == ["anna", "anna", "bert (2)"]
    assert samples.labels.tolist() == [[2, 1], [0, 0], [0, 1]]
    assert samples.numbers[:, 1].tolist() == [20, 19.5, 20]


def test_folders_however_they_are_typed(tmp_path: Path) -> None:
    korean, decomposed = "김", unicodedata.normalize("NFD", "김")
    space = LabelSpace([Task("garment", ("shirt", korean))])
    add(
        tmp_path, f"anna/{decomposed}/1.jpg", "anna /shirt/1.jpg", f"{decomposed}/shirt /1.jpg", f"{korean}/shirt/1.jpg"
    )
    samples = read(tmp_path, "{group}/{garment}", space, folder=".")
    assert sorted(samples.groups) == ["anna", "anna", korean, korean]
    assert sorted(samples.labels[:, 0]) == [0, 0, 0, 1]
    assert all(path.is_file() for path in samples.paths())
    assert len(set(samples.images)) == 4  # two files are two images, however alike their paths
    (note,) = samples.notes
    assert note.startswith("folders: 3 names are typed in several ways")


def test_the_first_folders_may_be_the_split(tmp_path: Path) -> None:
    add(
        tmp_path, "Train/red_shirt/1.jpg", "valid/red_shirt/1.jpg", "test/dark_blue_skirt/1.jpg", "TEST/red_skirt/1.jpg"
    )
    settings = FoldersSettings(pattern="{split}/{colour}_{garment}")
    assert settings.folder == "."
    assert settings.says_sides
    settings.check(SPACE)
    samples = settings.samples(tmp_path, SPACE)
    assert samples.images.tolist()[0] == "TEST/red_skirt/1.jpg"
    assert samples.sides is not None
    assert samples.sides.tolist() == [2, 0, 2, 1]
    assert samples.labels.tolist() == [[2, 0], [0, 0], [2, 1], [0, 0]]
    (tmp_path / "valid").rename(tmp_path / "later")
    with pytest.raises(
        UserError, match=r"later/red_shirt: must be train or training \(train\), val or .*, found 'later'"
    ):
        settings.samples(tmp_path, SPACE)
    add(tmp_path, "queries/red_shirt/1.jpg")
    assert FoldersSettings(pattern=settings.pattern, query_folder="queries").answered(tmp_path, SPACE).sides is None


def test_a_split_that_nothing_reads(tmp_path: Path) -> None:
    lines = problems(FoldersSettings, {"pattern": "{garment}", "splits": {"val": []}})
    assert lines[0].startswith("splits: would be ignored, since {split} is not in the pattern")
    space = LabelSpace([Task("split", ("a", "b"))])
    with pytest.raises(UserError, match=r"^pattern: \{split\} says who trains"):
        FoldersSettings(pattern="{split}").check(space)


def test_what_is_no_image_and_what_is_hidden_is_passed_over(tmp_path: Path) -> None:
    add(tmp_path / "train", "red_shirt/1.jpg", "red_shirt/._1.jpg", ".cache/1.jpg", "notes/readme.txt", "Thumbs.db")
    assert len(read(tmp_path)) == 1


def test_hidden_images_that_no_program_hides_are_told(tmp_path: Path) -> None:
    add(tmp_path / "train", "red_shirt/1.jpg", ".red_skirt/1.jpg", "red_shirt/.2.jpg", "red_shirt/._1.jpg")
    add(tmp_path / "train", ".cache/1.jpg", "red_shirt/.ipynb_checkpoints/1.jpg", ".vscode/settings.json")
    assert read(tmp_path).notes == (
        f"{tmp_path / 'train'}: 2 hidden files or folders with images are not used, as .red_skirt; a name that begins "
        "with a dot is hidden",
    )


def test_a_folder_that_may_be_two_classes_is_refused(tmp_path: Path) -> None:
    add(tmp_path / "train", "red_shirt/1.jpg", "dark_blue_shirt/1.jpg")
    assert refused(tmp_path) == (
        f"{tmp_path}/train/dark_blue_shirt: may be garment 'shirt', colour 'dark_blue', or garment 'blue_shirt', "
        "colour 'dark' by the pattern '{colour}_{garment}'; part the labels by something that is in none of their names"
    )


@pytest.mark.parametrize(
    ("image", "line"),
    [
        (
            "redshirt/1.jpg",
            "train/redshirt: holds images, but its name does not match the pattern '{colour}_{g",
        ),
        ("red_shirt/more/1.jpg", "train/red_shirt/more: holds images, but its name does not match the pattern"),
        ("1.jpg", "train: holds images, but its name does not match the pattern"),
        ("rd_shirt/1.jpg", "train/rd_shirt: colour: unknown class 'rd'; did you mean 'red'?"),
        ("red_shrt/1.jpg", "train/red_shrt: garment: unknown class 'shrt'; did you mean 'shirt'"),
    ],
)
def test_a_name_that_does_not_match_is_named(tmp_path: Path, image: str, line: str) -> None:
    add(tmp_path / "train", "red_shirt/1.jpg", image)
    assert refused(tmp_path).startswith(f"{tmp_path}/{line}")


def test_dots_in_a_pattern_are_dots(tmp_path: Path) -> None:
    add(tmp_path / "train", "v1.red_shirt/1.jpg")
    assert len(read(tmp_path, "v1.{colour}_{garment}")) == 1
    add(tmp_path / "train", "v1xred_shirt/1.jpg")
    assert "v1xred_shirt: holds images" in refused(tmp_path, "v1.{colour}_{garment}")


def test_no_folder_and_no_images(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"{tmp_path}/train: no such folder"
    (tmp_path / "train" / "red_shirt").mkdir(parents=True)
    assert refused(tmp_path).startswith(f"{tmp_path}/train: holds no images (.jpg, ")


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("{colour}", "pattern: says nothing of garment; {garment} must stand in '{colour}'"),
        ("{color}_{garment}", "pattern: labels.tasks has no task 'color'; did you mean 'colour'?"),
    ],
)
def test_a_pattern_must_fit_the_label_space(pattern: str, line: str) -> None:
    with pytest.raises(UserError) as caught:
        FoldersSettings(pattern=pattern).check(SPACE)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"pattern": "{a}_{a}"}, "pattern: {a} stands twice in '{a}_{a}'"),
        ({"pattern": "{a}_{b"}, "pattern: must have a task's name in each pair of braces"),
        ({"pattern": "/{a}"}, "pattern: must be a path of folders"),
        ({"pattern": ""}, "pattern: must be a path of folders"),
        ({"pattern": "{a}", "folder": "../x"}, "folder: leaves the data root: '../x'"),
        ({}, "pattern: field required"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, str], line: str) -> None:
    assert problems(FoldersSettings, settings)[0].lower().startswith(line.lower())


def test_queries_are_all_images_of_another_folder_whatever_it_is_called(tmp_path: Path) -> None:
    add(tmp_path / "eval", "x/2.jpg", "1.jpg")
    queries = FoldersSettings(pattern="{colour}_{garment}").queries(tmp_path)
    assert list(queries.ids) == ["1.jpg", "x/2.jpg"]
    assert list(queries.paths) == [tmp_path / "eval" / "1.jpg", tmp_path / "eval" / "x" / "2.jpg"]
    assert queries.answers == "names"


def test_files_that_are_called_what_they_show(tmp_path: Path) -> None:
    space = LabelSpace([Task("age", ("young", "old"), "binned", (30.0,)), Task("gender", ("male", "female"))])
    add(tmp_path, "in/29_0_a.jpg.chip.JPG", "in/30_1_b_c.jpg", "in/sub/9_1_d.jpg")
    source = FoldersSettings(pattern="{age}_{gender}_{_}.jpg", folder="in", indices=["gender"], unmatched="skip")
    source.check(space)
    samples = source.samples(tmp_path, space)
    assert samples.images.tolist() == ["in/29_0_a.jpg.chip.JPG", "in/30_1_b_c.jpg"]
    assert samples.labels.tolist() == [[0, 0], [1, 1]]
    assert samples.numbers[:, 0].tolist() == [29, 30]
    assert any("1 image does not match the pattern" in note and "sub/9_1_d.jpg" in note for note in samples.notes)
    strict = source.model_copy(update={"unmatched": "error"})
    with pytest.raises(UserError, match=r"sub/9_1_d\.jpg: its name does not match"):
        strict.samples(tmp_path, space)
    one = source.model_copy(update={"pattern": "{_}/{age}_{gender}_{_}.*", "folder": "."})
    assert one.samples(tmp_path, space).images.tolist() == ["in/29_0_a.jpg.chip.JPG", "in/30_1_b_c.jpg"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"indices": ["gendr"]}, "indices: labels.tasks has no task 'gendr'"),
        ({"indices": ["age"]}, "indices: age is binned"),
    ],
)
def test_indices_of_tasks_that_have_none(settings: dict[str, list[str]], reason: str) -> None:
    space = LabelSpace([Task("age", ("young", "old"), "binned", (30.0,)), Task("gender", ("male", "female"))])
    with pytest.raises(UserError, match=reason):
        FoldersSettings(pattern="{age}_{gender}.jpg", **settings).check(space)


def test_an_index_beyond_the_classes(tmp_path: Path) -> None:
    add(tmp_path / "train", "3_x.jpg", "0_x.jpg")
    space = LabelSpace([Task("gender", ("male", "female"))])
    with pytest.raises(UserError, match=r"3_x\.jpg: gender: must be an index of its classes, from 0 to 1, found '3'"):
        FoldersSettings(pattern="{gender}_{_}.jpg", indices=["gender"]).samples(tmp_path, space)


def test_no_image_that_matches(tmp_path: Path) -> None:
    add(tmp_path / "train", "x.jpg")
    with pytest.raises(UserError, match=r"no image matches the pattern .*, as x\.jpg"):
        FoldersSettings(pattern="{garment}_{colour}.jpg", unmatched="skip").samples(tmp_path, SPACE)
