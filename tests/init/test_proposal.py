"""What is proposed for folders, names of files and tables: it loads, and reads the labels that are there."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from multitask.config import Config
from multitask.data.dataset import Dataset
from multitask.errors import UserError
from multitask.init import Options, Proposal, propose, trial
from multitask.init.layouts import images, table
from tests.init.conftest import Written
from tests.init.made import add_images, write_lines

GARMENTS = ("shirt", "shoe", "skirt")


def refused(path: Path, **options: object) -> str:
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(UserError) as caught:
        propose(path, path.parent / "config.yaml", Options(**options))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert sorted(path.parent.rglob("*")) == before
    return str(caught.value)


# --- folders and names of files ---------------------------------------------------------------------------------------


def test_folders_that_are_products(tmp_path: Path, written: Callable[..., Written]) -> None:
    add_images(tmp_path / "set", (f"{c}_{g}/{i}.jpg" for c in ("red", "blue") for g in GARMENTS for i in range(5)))
    found = written(tmp_path / "set")
    assert found.source.pattern == "{colour}_{label}"
    assert found.classes() == {"colour": ("blue", "red"), "label": GARMENTS}
    assert found.labels("red_shoe/3.jpg") == {"colour": "red", "label": "shoe"}


def test_folders_of_a_split_that_trains_validates_and_is_not_drawn(
    tmp_path: Path, written: Callable[..., Written]
) -> None:
    add_images(
        tmp_path / "set", (f"{s}/{c}/{i}.png" for s in ("Train", "valid") for c in ("cat", "dog") for i in range(6))
    )
    found = written(tmp_path / "set")
    assert found.source.pattern == "{split}/{label}"
    assert found.source.says_sides
    assert np.bincount(found.samples.sides).tolist() == [12, 12]


def test_folders_of_people_are_groups(tmp_path: Path, written: Callable[..., Written]) -> None:
    add_images(
        tmp_path / "set", (f"{m}/p{p:02d}/{i}.jpg" for m in ("bare", "mask") for p in range(15) for i in range(3))
    )
    found = written(tmp_path / "set")
    assert found.source.pattern == "{label}/{group}"
    assert found.samples.num_groups == 15


def test_a_folder_of_unlabelled_images_beside_train_is_to_be_answered(
    tmp_path: Path, written: Callable[..., Written]
) -> None:
    add_images(tmp_path / "set", [*(f"train/{c}/{i}.jpg" for c in ("cat", "dog") for i in range(9)), "test/1.jpg"])
    found = written(tmp_path / "set")
    assert (found.source.folder, found.source.query_folder, len(found.samples)) == ("train", "test", 18)
    assert list(found.source.queries(Path(found.config.data.root)).ids) == ["1.jpg"]


def test_labels_in_names_of_files(tmp_path: Path, written: Callable[..., Written]) -> None:
    rng = np.random.default_rng(0)
    names = [f"{rng.integers(1, 99)}_{rng.integers(0, 2)}_{n:05d}.jpg" for n in range(150)]
    add_images(tmp_path / "set", names)
    found = written(tmp_path / "set")
    assert found.source.pattern == "{number}_{label}_{_}.jpg"
    assert found.config.space().tasks[0].kind == "binned"
    age, label, _ = names[7].split("_")
    assert found.labels(names[7])["label"] == label
    assert found.samples.numbers[found.samples.images.tolist().index(names[7]), 0] == float(age)


def test_a_counter_in_names_of_files_is_no_label(tmp_path: Path, written: Callable[..., Written]) -> None:
    add_images(tmp_path / "set", (f"{c}.{i}.jpg" for c in ("cat", "dog") for i in range(40)))
    found = written(tmp_path / "set")
    assert found.source.pattern == "{label}.{_}.jpg"
    assert found.classes() == {"label": ("cat", "dog")}


def test_a_pattern_that_the_user_names(tmp_path: Path, written: Callable[..., Written]) -> None:
    add_images(tmp_path / "set", [*(f"{20 + i}_{'mf'[i % 2]}_x{i // 2}.jpg" for i in range(40)), "odd.jpg"])
    found = written(tmp_path / "set", pattern="{age}_{gender}_{group}.*")
    assert found.config.space().task_names == ("age", "gender")
    assert (len(found.samples), found.samples.num_groups) == (40, 20)
    assert found.source.unmatched == "skip"
    assert any("1 image does not match the pattern and is skipped" in line for line in found.proposal.check)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("1.jpg", "no image is below its folder; name the images' folder with --images"),
        ("https://host/1.jpg", "path holds addresses, which are not fetched: download what they lead to, and name"),
    ],
)
def test_a_table_without_images_is_told_how_they_are_named(tmp_path: Path, path: str, line: str) -> None:
    write_lines(tmp_path / "train.csv", "path,garment", f"{path},shirt", f"{path},skirt")
    with pytest.raises(UserError, match=rf"train\.csv: {line}"):
        propose(tmp_path / "train.csv", tmp_path / "config.yaml", Options())


def test_columns_that_are_left_out_for_one_reason_are_named_together(
    folder: Path, written: Callable[..., Written]
) -> None:
    columns = [f"is_{place}" for place in range(12)]
    rows = [f"{row:03d}.jpg,{','.join(str(row * (place + 3) // 7 % 2) for place in range(12))}" for row in range(60)]
    write_lines(folder / "labels.csv", f"file,{','.join(columns)}", *rows)
    (said,) = [line for line in written(folder).proposal.assumed if line.startswith("no task is made of")]
    assert said.count("(one label too many for a product that is found by itself)") == 1
    assert " is_4, is_5, is_6, is_7 and 3 more (one" in said


@pytest.mark.parametrize(
    ("paths", "pattern", "reason"),
    [
        ([], None, "holds no images"),
        (["notes.txt"], None, "holds no images"),
        (["a/1.jpg", "a/2.jpg", "a/3.jpg"], None, "neither folders nor file names say labels"),
        ([f"IMG_{i}.jpg" for i in range(9)], None, "neither folders nor file names say labels"),
        ([f"a/{i}.jpg" for i in range(9)], "{label}", "no label has two values or more: label is always 'a'"),
        ([f"a/{i}.jpg" for i in range(9)], "{label}_{_}", "9 of 9 images do not match the pattern"),
        (["a/1.jpg"], "a/{_}.jpg", "must have a label in braces"),
        (["a/1.jpg"], "{a}/{a}.jpg", "stands twice"),
    ],
)
def test_folders_of_which_nothing_can_be_made(
    tmp_path: Path, paths: list[str], pattern: str | None, reason: str
) -> None:
    (tmp_path / "set").mkdir()
    add_images(tmp_path / "set", [path for path in paths if not path.endswith(".txt")])
    for path in paths:
        if path.endswith(".txt"):
            write_lines(tmp_path / "set" / path, "text")
    assert reason in refused(tmp_path / "set", pattern=pattern)


@pytest.mark.parametrize("below", ["", "labels.xlsx"])
def test_a_workbook_is_told_how_to_be_a_table(tmp_path: Path, below: str) -> None:
    add_images(tmp_path / "set", [f"IMG_{i}.jpg" for i in range(9)])
    with zipfile.ZipFile(tmp_path / "set" / "labels.xlsx", "w") as workbook:
        workbook.writestr("[Content_Types].xml", "")
    line = refused(tmp_path / "set" / below)
    assert "labels.xlsx: is no CSV text but an Excel workbook" in line
    assert "save it as" in line


def test_images_of_another_format_are_told_of_beside_those_that_are_used(
    tmp_path: Path, written: Callable[..., Written]
) -> None:
    add_images(tmp_path / "names", (f"{c}/{i}.jpg" for c in ("cat", "dog") for i in range(40)))
    add_images(tmp_path / "rows", (f"{i}.jpg" for i in range(60)))
    write_lines(tmp_path / "rows" / "train.csv", "file,kind", *(f"{i}.jpg,{'ab'[i % 2]}" for i in range(60)))
    for place, config in ((tmp_path / "names", "a"), (tmp_path / "rows", "b")):
        (place / "IMG_1.HEIC").write_bytes(b"")
        note = f"{place}: 1 file may be an image and is not used (.heic), as IMG_1.HEIC; convert to PNG or JPEG"
        assert note in propose(place, tmp_path / f"{config}.yaml", Options()).check


def test_images_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(4):
            write_lines(tmp_path / "set" / name / f"{number}.jpg", "no image")
    assert "cannot be read as an image (nor any other of 8" in refused(tmp_path / "set")


# --- tables -----------------------------------------------------------------------------------------------------------

HEADER = "file,garment,price,product_id,split,note"


def table_rows(num: int = 60, garment: Callable[[int], str] = lambda row: GARMENTS[row % 3]) -> list[str]:
    side = ["train", "test"]
    return [
        f"{row:03d}.jpg,{garment(row)},{row * 1.5 + 1:g},p{row // 3},{side[row >= 0.8 * num]},text {row}"
        for row in range(num)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    add_images(tmp_path / "set" / "images", (f"{row:03d}.jpg" for row in range(60)))
    return tmp_path / "set"


def test_a_table_is_read_where_it_is(folder: Path, written: Callable[..., Written]) -> None:
    write_lines(folder / "labels.csv", HEADER, *table_rows())
    found = written(folder)
    assert found.proposal.table is None
    assert found.source.table == str(folder / "labels.csv")
    assert (found.source.path, found.source.group, found.source.split) == ("file", "product_id", "split")
    assert found.config.space().task_names == ("garment", "price")
    assert found.labels("004.jpg") == {"garment": "shoe", "price": "<30"}
    assert found.samples.num_groups == 20
    assert np.bincount(found.samples.sides + 1).tolist() == [48, 0, 0, 12]


def test_a_parquet_file(folder: Path, written: Callable[..., Written]) -> None:
    import pandas as pd

    rows = [line.split(",") for line in table_rows()]
    frame = pd.DataFrame(rows, columns=HEADER.split(",")).astype({"price": float})
    frame["file"] = "images/" + frame["file"]
    frame.to_parquet(folder / "labels.parquet")
    found = written(folder / "labels.parquet")
    assert (found.proposal.table, found.source.file) == (None, "labels.parquet")
    assert found.labels("images/004.jpg") == {"garment": "shoe", "price": "<30"}


def test_words_for_unknown_rows_without_images_and_paths_without_suffix_are_mended_in_a_table_of_its_own(
    folder: Path, written: Callable[..., Written]
) -> None:
    rows = table_rows(garment=lambda row: "NaN" if row < 10 else GARMENTS[row % 3])
    write_lines(folder / "labels.csv", HEADER, *(row.replace(".jpg", "", 1) for row in rows), "777,shoe,3,p99,train,-")
    found = written(folder)
    assert found.source.table.endswith("out/config.csv")
    assert found.labels("images/004.jpg")["garment"] is None
    assert found.labels("images/011.jpg")["garment"] == "skirt"
    assert any("1 of 61 rows lead to no image, as 777" in line for line in found.proposal.check)


def test_columns_and_folder_that_the_user_names(folder: Path, written: Callable[..., Written]) -> None:
    write_lines(folder.parent / "elsewhere" / "my.tsv", *(line.replace(",", "\t") for line in (HEADER, *table_rows())))
    found = written(folder.parent / "elsewhere" / "my.tsv", labels=("split",), group="note", images=folder)
    assert found.config.space().task_names == ("split_",)
    assert found.source.delimiter == "\t"
    assert found.samples.num_groups == 60


def test_a_split_that_tears_groups_is_not_used(folder: Path, written: Callable[..., Written]) -> None:
    rows = [line.replace(f"p{row // 3},", f"p{row % 20},") for row, line in enumerate(table_rows())]
    write_lines(folder / "labels.csv", HEADER, *rows)
    found = written(folder)
    assert (found.source.group, found.source.split) == ("product_id", None)
    assert any("on two sides" in line for line in found.proposal.check)


def test_a_class_that_may_mean_unknown_is_told(folder: Path, written: Callable[..., Written]) -> None:
    words = ("shirt", "-", "skirt", "unknown")
    write_lines(folder / "labels.csv", "file,garment", *(f"{row:03d}.jpg,{words[row % 4]}" for row in range(60)))
    told = [line for line in written(folder).proposal.check if "stands for unknown" in line]
    assert told == [
        f"garment has a class {name!r}; if it stands for unknown, leave its cells empty" for name in words[1::2]
    ]


def test_columns_that_say_the_same_count_once(folder: Path, written: Callable[..., Written]) -> None:
    rows = [f"{row:03d}.jpg,{GARMENTS[row % 3]},{row % 3},{'top' if row % 3 == 0 else 'other'}" for row in range(60)]
    write_lines(folder / "labels.csv", "file,garment,code,part", *rows)
    found = written(folder)
    assert found.config.space().task_names == ("garment",)
    assert "# not a task: code, the same as garment" in found.proposal.text
    assert "# not a task: part, decided by garment" in found.proposal.text
    said = "no task is made of code (the same as garment), part (decided by garment); --labels names what you want"
    assert said in found.proposal.assumed


@pytest.mark.parametrize(
    ("lines", "options", "reason"),
    [
        ([HEADER], {}, "holds no rows"),
        ([HEADER, *(line.replace(".jpg", "x.jpg") for line in table_rows())], {}, "names images, but none is below"),
        (["a,b", *(f"{row},{row % 2}" for row in range(9))], {}, "no column leads to images"),
        (["file,a", *(f"{row:03d}.jpg,x" for row in range(9))], {}, "no label has two values or more: a is always 'x'"),
        (
            ["file,x", *(f"{row:03d}.jpg,{row % 2}" for row in range(9))],
            {},
            "x is a place, a size or a score by its name",
        ),
        ([HEADER, *table_rows()], {"labels": ("garmnt",)}, "has no column 'garmnt'"),
        (["file,a", *(f"{row:03d}.jpg,x" for row in range(9))], {"labels": ("a",)}, "is no label: it is always 'x'"),
    ],
)
def test_tables_of_which_nothing_can_be_made(
    folder: Path, lines: list[str], options: dict[str, object], reason: str
) -> None:
    write_lines(folder / "labels.csv", *lines)
    assert reason in refused(folder / "labels.csv", **options)


def test_a_table_beside_the_config_is_not_replaced(folder: Path) -> None:
    write_lines(
        folder / "labels.csv", HEADER, *table_rows(garment=lambda row: "NaN" if row < 10 else GARMENTS[row % 3])
    )
    write_lines(folder.parent / "config.csv", "mine")
    assert "config.csv: exists" in refused(folder)


def test_a_cell_that_should_have_occurred_is_taken_for_impossible(
    tmp_path: Path, written: Callable[..., Written]
) -> None:
    pairs = [(c, g) for c in ("red", "blue") for g in GARMENTS if (c, g) != ("red", "shoe")]
    add_images(tmp_path / "set", (f"{c}_{g}/{i}.jpg" for c, g in pairs for i in range(30)))
    found = written(tmp_path / "set")
    assert found.config.labels.impossible == ({"colour": "red", "label": "shoe"},)
    assert any("labels.impossible" in line for line in found.proposal.check)


def test_a_counter_of_few_images_is_neither_label_nor_group(tmp_path: Path, written: Callable[..., Written]) -> None:
    add_images(tmp_path / "set", (f"{c}_{i}.jpg" for c in ("cat", "dog", "cow") for i in range(9)))
    assert written(tmp_path / "set").source.pattern == "{label}_{_}.jpg"


def test_a_table_that_is_damaged_is_named_where_names_say_nothing(folder: Path) -> None:
    write_lines(folder / "labels.csv", "file,a", "001.jpg,x", "002.jpg,y,z")
    assert "labels.csv, line 3: must have 2 cells, found 3" in refused(folder)
    write_lines(folder / "labels.csv", "")
    assert "labels.csv: is empty" in refused(folder)


def test_folds_are_no_label(folder: Path, written: Callable[..., Written]) -> None:
    write_lines(folder / "labels.csv", "file,fold,a", *(f"{row:03d}.jpg,{row % 5},{row % 2}" for row in range(60)))
    assert written(folder).config.space().task_names == ("a",)


def test_a_trial_that_fails_names_the_set_and_no_file_of_the_trial(tmp_path: Path) -> None:
    add_images(tmp_path / "set", (f"{c}/{i}.jpg" for c in ("null", "cat", "a: b") for i in range(4)))
    assert refused(tmp_path / "set").startswith(f"{tmp_path / 'set'}: table.csv, line")


@pytest.mark.parametrize(
    ("header", "copied"),
    [("xmin,ymin,xmax,ymax", False), ("bbox_left,bbox_top,bbox_right,bbox_bottom", False), ("x,y,w,h", True)],
)
def test_boxes_in_a_table_are_what_is_cropped_to(
    folder: Path, written: Callable[..., Written], header: str, copied: bool
) -> None:
    cells = [f"{row % 8},4,{20 if copied else row % 8 + 20},{40 if copied else 44}" for row in range(60)]
    write_lines(
        folder / "labels.csv", f"file,{header},a", *(f"{row:03d}.jpg,{cells[row]},{row % 2}" for row in range(60))
    )
    found = written(folder)
    assert found.config.data.crop.name == "box"
    assert found.config.data.image_size == (40, 32)  # of the boxes, 20 x 40, as near as 32 px at the least let it be
    assert (found.proposal.table is not None) == copied
    assert found.samples.boxes[9].tolist() == [1, 4, 21, 44]
    assert found.config.space().task_names == ("a",)


def test_boxes_that_are_none_are_unknown_and_boxes_of_other_images_are_not_used(
    folder: Path, written: Callable[..., Written]
) -> None:
    header = "file,left,top,right,bottom,a"
    cells = ["0,0,0,0" if row == 7 else f"{row % 8},4,{row % 8 + 20},44" for row in range(60)]
    write_lines(folder / "labels.csv", header, *(f"{row:03d}.jpg,{cells[row]},{row % 2}" for row in range(60)))
    found = written(folder)
    assert np.isnan(found.samples.boxes).all(axis=1).nonzero()[0].tolist() == [7]
    for place, reason in (("4,4,400,90", "lie outside of 60 of 60 images"), ("0.1,0.1,0.5,0.5", "shares of the image")):
        write_lines(folder / "labels.csv", header, *(f"{row:03d}.jpg,{place},{row % 2}" for row in range(60)))
        proposal = propose(folder, folder.parent / "other.yaml", Options())
        assert any(reason in line for line in proposal.check)
        assert "crop:" not in proposal.text.replace("fit: crop", "")


@pytest.mark.parametrize("mirrored", [False, True])
def test_eyes_in_a_table_are_what_is_aligned_by(folder: Path, written: Callable[..., Written], mirrored: bool) -> None:
    eyes = ["24,20,12,21" if mirrored else "12,21,24,20"] * 59 + [",,,"]
    header = "file,lefteye_x,lefteye_y,righteye_x,righteye_y,a"
    write_lines(folder / "labels.csv", header, *(f"{row:03d}.jpg,{eyes[row]},{row % 2}" for row in range(60)))
    found = written(folder)
    assert (found.config.data.crop.name, found.proposal.table) == ("align", None)
    assert found.samples.eyes[9].tolist() == [12, 21, 24, 20]  # the face's right eye, left in the image, first
    assert np.isnan(found.samples.eyes[59]).all()


def test_an_image_that_two_rows_name_counts_once(folder: Path, written: Callable[..., Written]) -> None:
    write_lines(folder / "labels.csv", "file,a", *(f"{row % 50:03d}.jpg,{row % 2}" for row in range(60)))
    found = written(folder)
    assert len(found.samples) == 50
    assert "10 rows name an image that an earlier row names, and are left out" in found.proposal.check


def test_a_config_that_cannot_be_written_leaves_neither_table_nor_images(tmp_path: Path) -> None:
    made, images, table = tmp_path / "made", tmp_path / "images", tmp_path / "table.csv"
    made.mkdir()
    proposal = Proposal("text", (table, "path\n"), (made, images), (), (), ())
    with pytest.raises(OSError, match="nowhere"):
        proposal.write(tmp_path / "nowhere" / "config.yaml")
    assert list(tmp_path.iterdir()) == []


def test_a_table_in_a_folder_is_read_once_before_the_config_is_tried(
    tmp_path: Path, written: Callable[..., Written], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_images(tmp_path / "set", (f"{number}.jpg" for number in range(30)))
    lines = [f"{number}.jpg,{'red' if number % 3 else 'blue'}" for number in range(30)]
    (tmp_path / "set" / "train.csv").write_text("\n".join(["path,colour", *lines]))
    tables, folders = [], []
    read_columns, list_images = table.read_columns, images.list_images
    monkeypatch.setattr(table, "read_columns", lambda path: [tables.append(path), read_columns(path)][1])
    monkeypatch.setattr(images, "list_images", lambda *given: [folders.append(given), list_images(*given)][1])
    assert written(tmp_path / "set").classes() == {"colour": ("blue", "red")}
    assert len(tables) == len(folders) == 1
    (tmp_path / "set" / "train.csv").write_text("\n".join(["path,shade", *lines]))
    (tmp_path / "out" / "config.yaml").unlink()
    assert list(written(tmp_path / "set").classes()) == ["shade"]


def test_layouts_of_several_folders_keep_each_its_own_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[Path] = []
    read_columns = table.read_columns
    monkeypatch.setattr(table, "read_columns", lambda path: [tables.append(path), read_columns(path)][1])
    layouts = []
    for column in ("colour", "shade"):
        add_images(tmp_path / column, ["1.jpg", "2.jpg"])
        (tmp_path / column / "train.csv").write_text(f"path,{column}\n1.jpg,red\n2.jpg,blue\n")
        layouts.append(table.AnyTable(tmp_path / column))
    assert all(layout.fits() for layout in layouts)
    assert [list(layout.observe(Options()).columns) for layout in layouts] == [["colour"], ["shade"]]
    assert len(tables) == 2


@pytest.mark.parametrize("dealt", [trial.DEALT, 6])
def test_of_images_that_never_have_all_labels_one_task_is_watched(
    tmp_path: Path, written: Callable[..., Written], dealt: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "DEALT", dealt)
    add_images(tmp_path / "set", (f"{row}.jpg" for row in range(60)))
    rows = [
        f"{row}.jpg,{('red', 'blue')[row // 3 % 2]}," if row % 3 else f"{row}.jpg,,{('shirt', 'shoe')[row // 3 % 2]}"
        for row in range(60)
    ]
    write_lines(tmp_path / "set" / "train.csv", "path,colour,garment", *rows)
    found = written(tmp_path / "set", labels=("garment", "colour"))
    assert found.config.training.monitor == "tasks.colour.macro_f1"
    assert found.proposal.check[-1] == (
        "no image that validates has a label of each task: the joint score stays empty, and tasks.colour.macro_f1 is "
        "watched in its place"
    )
    assert "  monitor: tasks.colour.macro_f1   # no image that validates has a label" in found.proposal.text
    assert found.proposal.text.count("is watched in its place") == 1


@pytest.mark.parametrize("labelled", [range(40), range(20, 40), range(0)])
def test_of_many_groups_the_first_are_split_and_all_where_these_cannot_be(
    tmp_path: Path, labelled: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = {"colour": {"kind": "nominal", "classes": ["red", "blue"]}}
    rows = [f"{row}.jpg,p{row // 2},{('red', 'blue')[row % 3 > 1] if row in labelled else ''}" for row in range(40)]
    (tmp_path / "train.csv").write_text("\n".join(["path,person,colour", *rows]))
    add_images(tmp_path, (f"{row}.jpg" for row in range(40)))
    data = {"root": str(tmp_path), "source": {"name": "table", "group": "person"}, "val_fraction": 0.2}
    config = Config.model_validate({"labels": {"tasks": classes}, "data": data})
    split: list[int] = []
    of = Dataset.of.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(
        Dataset, "of", classmethod(lambda cls, *given: [split.append(given[1].num_groups), of(cls, *given)][1])
    )
    monkeypatch.setattr(trial, "DEALT", 6)
    if labelled:
        assert trial.watched_score(config) == "joint.macro_f1"
    else:
        with pytest.raises(UserError, match="is unknown: none of the 8 images that validate has all its labels"):
            trial.watched_score(config)
    assert split == ([6] if 0 in labelled else [6, 20])
