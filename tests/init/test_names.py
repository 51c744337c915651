"""What names of folders and files say, in conventions that are found in the wild, and what is told of the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.init import Options, propose
from tests.init.conftest import Written
from tests.init.made import add_images, write_lines

KINDS = ("cat", "cow", "dog")
NUMBERED = [f"class-with-name-{number:02d}" for number in range(60)]


@pytest.mark.parametrize(
    ("paths", "pattern", "tasks"),
    [
        ([f"{name}/{i}.jpg" for name in NUMBERED for i in range(5)], "{label}", {"label": tuple(NUMBERED)}),
        ([f"{name}/IMG_{i}.jpg" for name in NUMBERED for i in range(5)], "{label}", {"label": tuple(NUMBERED)}),
        (
            [f"{name}/{name[-2:]}_{i}{name[-2:]}.jpg" for name in NUMBERED for i in range(5)],
            "{label}",
            {"label": tuple(NUMBERED)},
        ),
        ([f"{KINDS[i % 3]} ({i // 3 + 1}).jpg" for i in range(90)], "{label} {_}.jpg", {"label": KINDS}),
        ([f"{KINDS[i % 3]}{i // 3 + 1}.jpg" for i in range(90)], "{label}{_}.jpg", {"label": KINDS}),
        (
            [f"p{n:02d}/{KINDS[n % 3]}_{i}.jpg" for n in range(30) for i in range(1, 5)],
            "{group}/{label}_{_}.jpg",
            {"label": KINDS},
        ),
        (
            [f"id-{i // 5}_gender-{'mf'[i // 5 % 2]}_age-{i // 5 * 3 + 10}_{i % 5}.jpg" for i in range(90)],
            "id-{group}_gender-{gender}_age-{age}_{_}.jpg",
            {"gender": ("f", "m"), "age": ("<25", "25-45", ">=45")},
        ),
        (
            [f"cam{i % 3}_{('day', 'night')[i // 3 % 2]}_{i:04d}.png" for i in range(90)],
            "cam{cam}_{label}_{_}.png",
            {"cam": ("0", "1", "2"), "label": ("day", "night")},
        ),
    ],
)
def test_what_names_say(
    tmp_path: Path, written: Callable[..., Written], paths: list[str], pattern: str, tasks: dict[str, tuple[str, ...]]
) -> None:
    add_images(tmp_path / "set", paths)
    found = written(tmp_path / "set")
    assert (found.source.pattern, found.classes(), len(found.samples)) == (pattern, tasks, len(paths))


def test_folders_that_may_be_groups_are_told_and_those_that_say_so_are_asked_about(
    tmp_path: Path, written: Callable[..., Written]
) -> None:
    add_images(tmp_path / "set", (f"{name}/{i}.jpg" for name in NUMBERED for i in range(5)))
    told = [line for line in written(tmp_path / "set").proposal.check if "write {group} for it in a --pattern" in line]
    assert len(told) == 1
    add_images(tmp_path / "people", (f"patient_{number:02d}/{i}.jpg" for number in range(60) for i in range(5)))
    with pytest.raises(UserError, match=r"neither folders nor file names say labels, as .*--pattern"):
        propose(tmp_path / "people", tmp_path / "config.yaml", Options())


def test_folders_that_train_and_validate_beside_one_without_labels(
    tmp_path: Path, written: Callable[..., Written]
) -> None:
    sides = (("Train", 12), ("Validation", 5))
    add_images(
        tmp_path / "set", (f"{side}/{kind}/{i}.jpg" for side, num in sides for kind in KINDS for i in range(num))
    )
    add_images(tmp_path / "set", [*(f"Test/{i}.jpg" for i in range(4)), "unlabelled/1.jpg"])
    found = written(tmp_path / "set")
    assert (found.source.pattern, found.source.query_folder) == ("{split}/{label}", "Test")
    assert [int((found.samples.sides == side).sum()) for side in range(3)] == [36, 15, 0]
    assert "the images in Test (4) have no labels, and are those that are to be answered" in found.proposal.assumed
    assert "the images in unlabelled (1) have no labels and are not used" in found.proposal.check


def test_a_folder_of_a_class_without_images_is_told(tmp_path: Path, written: Callable[..., Written]) -> None:
    add_images(tmp_path / "set", (f"train/{kind}/{i}.jpg" for kind in KINDS for i in range(5)))
    for name in ("train/bird", "train/.cache", "other"):
        (tmp_path / "set" / name).mkdir()
    found = written(tmp_path / "set")
    assert found.classes() == {"label": KINDS}
    assert "1 folder holds no image, and no class is made of such, as train/bird" in found.proposal.check


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Folders of labels, and a table without."""
    add_images(tmp_path / "set", (f"{kind}/{kind}{i}.jpg" for kind in KINDS for i in range(9)))
    rows = (f"{kind}{i}.jpg,48,{kind[0]}{i % 2}" for kind in KINDS for i in range(9))
    write_lines(tmp_path / "set" / "meta.csv", "file,width,note", *rows)
    return tmp_path / "set"


def test_a_table_without_labels_leaves_them_to_names(pets: Path, written: Callable[..., Written]) -> None:
    text = (
        (pets / "meta.csv").read_text().replace(",c0", ",").replace(",c1", ",").replace(",d0", ",").replace(",d1", ",")
    )
    (pets / "meta.csv").write_text(text)
    found = written(pets)
    assert (found.source.pattern, found.classes()) == ("{label}", {"label": KINDS})
    assert found.proposal.check[0].startswith(f"not taken: {pets / 'meta.csv'}: no label has two values or more: width")
    assert found.proposal.check[0] in found.proposal.text.replace("\n#     ", " ")


def test_a_pattern_goes_before_a_table(pets: Path, written: Callable[..., Written]) -> None:
    assert written(pets, pattern="{kind}/{_}.jpg").classes() == {"kind": KINDS}


@pytest.mark.parametrize(
    ("path", "options", "line"),
    [
        (
            "meta.csv",
            {"pattern": "{label}"},
            "--pattern: says what the images in a folder are called, and .* is no folder",
        ),
        ("cat", {"images": True}, "--images: is of a table or an export, and .* is neither, but a folder of images"),
    ],
)
def test_what_would_be_ignored_is_refused(pets: Path, path: str, options: dict[str, object], line: str) -> None:
    options = {name: pets if value is True else value for name, value in options.items()}
    with pytest.raises(UserError, match=line):
        propose(pets / path, pets / "config.yaml", Options(**options))  # type: ignore[arg-type]


def test_other_tables_are_told(tmp_path: Path, written: Callable[..., Written]) -> None:
    add_images(tmp_path / "set", (f"{i}.jpg" for i in range(40)))
    for name, rows in (("train", range(30)), ("test", range(30, 40)), ("queries", range(3))):
        write_lines(tmp_path / "set" / f"{name}.csv", "path,kind", *(f"{i}.jpg,{KINDS[i % 3]}" for i in rows))
    assert "only train.csv is read; the other table here is not: test.csv" in written(tmp_path / "set").proposal.check


def test_a_table_without_labels_is_named_with_the_others(tmp_path: Path) -> None:
    add_images(tmp_path / "set", (f"IMG_{i}.jpg" for i in range(40)))
    write_lines(tmp_path / "set" / "images.csv", "id,file", *(f"{i},IMG_{i}.jpg" for i in range(40)))
    write_lines(tmp_path / "set" / "labels.csv", "id,kind", *(f"{i},{KINDS[i % 3]}" for i in range(40)))
    with pytest.raises(UserError) as caught:
        propose(tmp_path / "set", tmp_path / "config.yaml", Options())
    why = "no label has two values or more: id is what images are called; not read: labels.csv"
    assert str(caught.value) == f"{tmp_path / 'set' / 'images.csv'}: {why}"


def test_decimal_commas_are_read_as_points(tmp_path: Path, written: Callable[..., Written]) -> None:
    add_images(tmp_path / "set", (f"{i}.jpg" for i in range(60)))
    rows = [f"{i}.jpg;{i // 2},{i % 2 * 5};1,{i % 3}" for i in range(60)]
    write_lines(tmp_path / "set" / "labels.csv", "file;age;tags", *rows)
    found = written(tmp_path / "set")
    assert found.samples.numbers[found.samples.images.tolist().index("7.jpg"), 0] == 3.5
    assert found.classes()["tags"] == ("1,0", "1,1", "1,2")
    assert "the numbers of age have decimal commas, which are read as points" in found.proposal.check


def test_none_is_a_class_among_words_and_no_number(tmp_path: Path, written: Callable[..., Written]) -> None:
    add_images(tmp_path / "set", (f"{i}.jpg" for i in range(60)))
    rows = [
        f"{i}.jpg,{('None', 'cap', 'NA')[i % 3]},{('none', 'mild', 'severe', 'moderate')[i % 4]},"
        f"{'None' if i % 5 else i},{'None' if i < 9 else i // 3}"
        for i in range(60)
    ]
    write_lines(tmp_path / "set" / "labels.csv", "file,hat,grade,age,person", *rows)
    found = written(tmp_path / "set", labels=("hat", "grade"))
    assert found.classes() == {"hat": ("None", "cap"), "grade": ("none", "mild", "moderate", "severe")}
    assert found.labels("0.jpg") == {"hat": "None", "grade": "none"}
    assert found.labels("2.jpg")["hat"] is None
    assert found.samples.num_groups == 9 + 17
    assert "hat has a class 'None'; if it stands for unknown, leave its cells empty" in found.proposal.check
    assert "hat is NA for some images: taken for unknown" in found.proposal.check
    (tmp_path / "out" / "config.yaml").unlink()
    (tmp_path / "out" / "config.csv").unlink()
    found = written(tmp_path / "set", labels=("age", "grade"))
    assert found.config.space().tasks[0].kind == "nominal"
    assert "None" not in found.classes()["age"]
    assert "age is None for some images: taken for unknown" in found.proposal.check


def test_a_folder_that_is_called_none_is_a_class(tmp_path: Path, written: Callable[..., Written]) -> None:
    add_images(
        tmp_path / "set", (f"{hat}_{kind}/{i}.jpg" for hat in ("none", "cap") for kind in KINDS for i in range(9))
    )
    found = written(tmp_path / "set")
    assert found.classes() == {"label": ("cap", "none"), "label2": KINDS}


@pytest.mark.parametrize("suffix", [".jpg", ""])
def test_of_folders_with_the_same_names_the_one_that_is_called_like_the_table_is_taken_and_told(
    tmp_path: Path, written: Callable[..., Written], suffix: str
) -> None:
    add_images(tmp_path / "set", (f"{side}/{i}.jpg" for side, num in (("train", 30), ("test", 50)) for i in range(num)))
    write_lines(tmp_path / "set" / "train.csv", "id,kind", *(f"{i}{suffix},{KINDS[i % 3]}" for i in range(30)))
    found = written(tmp_path / "set")
    read = {(Path(found.config.data.root) / image).resolve() for image in found.samples.images.tolist()}
    assert read == {(tmp_path / "set" / "train" / f"{i}.jpg").resolve() for i in range(30)}
    told = "the table's images are in train/ and in test/ too; those in train/ are taken"
    assert told in found.proposal.check


def test_portions_of_a_set_dates_and_addresses(tmp_path: Path, written: Callable[..., Written]) -> None:
    add_images(tmp_path / "folds", (f"fold_{f}/{kind}/{i}.jpg" for f in range(5) for kind in KINDS for i in range(5)))
    found = written(tmp_path / "folds")
    assert (found.source.pattern, found.classes()) == ("{_}/{label}", {"label": KINDS})
    (tmp_path / "out" / "config.yaml").unlink()
    add_images(tmp_path / "set", (f"img/{i}.jpg" for i in range(60)))
    rows = (f"https://x.org/a/{i}.jpg?w=3,2024-0{i % 3 + 1}-11,{KINDS[i // 3 % 3]}" for i in range(60))
    write_lines(tmp_path / "set" / "labels.csv", "url,taken,kind", *rows)
    found = written(tmp_path / "set")
    assert found.classes() == {"kind": KINDS}
    assert any("taken (a date)" in line for line in found.proposal.assumed)


def test_a_file_that_may_hold_labels_and_is_no_table_is_named(tmp_path: Path) -> None:
    add_images(tmp_path / "set", (f"{i}.jpg" for i in range(40)))
    for name in ("README.txt", "classes.txt"):
        write_lines(tmp_path / "set" / name, *(f"{i}.jpg {i % 3}" for i in range(40)))
    with pytest.raises(UserError, match=r"or name a table of labels; classes\.txt is none: if it holds them, write"):
        propose(tmp_path / "set", tmp_path / "config.yaml", Options())


def test_a_table_without_a_line_of_names_is_told(tmp_path: Path) -> None:
    add_images(tmp_path / "set", (f"{i}.jpg" for i in range(40)))
    write_lines(tmp_path / "set" / "labels.csv", *(f"{i}.jpg,{KINDS[i % 3]}" for i in range(40)))
    with pytest.raises(UserError, match=r"labels\.csv: its first line must name the columns, as path,label; found '0"):
        propose(tmp_path / "set" / "labels.csv", tmp_path / "config.yaml", Options())


def test_a_column_for_each_class_is_one_label(tmp_path: Path, written: Callable[..., Written]) -> None:
    add_images(tmp_path / "set" / "images", (f"{i}.jpg" for i in range(60)))
    rows = [f"{i}," + ",".join(f"{float(i % 3 == place)}" for place in range(3)) + f",{i // 2 % 2}" for i in range(60)]
    write_lines(tmp_path / "set" / "labels.csv", "image,MEL,NV,BCC,seen", *rows)
    found = written(tmp_path / "set")
    assert found.classes() == {"label": ("BCC", "MEL", "NV"), "seen": ("0", "1")}
    assert found.labels("images/4.jpg") == {"label": "NV", "seen": "0"}
    assert any("exactly one of them is 1 in each row" in line for line in found.proposal.assumed)
