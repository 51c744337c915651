"""The competition's layout: all its quirks are read, all that is wrong in it is one line that names it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from multitask.data.formats import SUFFIXES_TEXT
from multitask.data.samples import Samples
from multitask.data.sources import CompetitionSettings
from multitask.data.sources.competition import MASK_OF_STEM
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace, Task

MINI = Path(__file__).parents[4] / "shared" / "data" / "mask18-mini"

SPACE = LabelSpace(
    [
        Task("mask", ("wear", "incorrect", "not_worn")),
        Task("gender", ("male", "female")),
        Task("age", ("<30", "30-60", ">=60"), "binned", (30.0, 60.0)),
    ]
)
HEADER = "id,gender,race,age,path"
ANNA = "000001,female,Asian,20,000001_female_Asian_20"
BERT = "000002,male,Asian,60,000002_male_Asian_60"


def add_person(root: Path, row: str, extension: str = ".jpg") -> Path:
    """The folder of a row's person, with a file for each image; a source looks at names only."""
    folder = root / "train" / "images" / row.split(",")[-1]
    folder.mkdir(parents=True)
    for stem in MASK_OF_STEM:
        (folder / f"{stem}{extension}").touch()
    return folder


def write_table(root: Path, *rows: str, header: str = HEADER) -> None:
    (root / "train").mkdir(exist_ok=True)
    (root / "train" / "train.csv").write_text("\n".join([header, *rows]) + "\n")


def read(root: Path, space: LabelSpace = SPACE) -> Samples:
    return CompetitionSettings().samples(root, space)


def refused(root: Path, space: LabelSpace = SPACE) -> str:
    with pytest.raises(UserError) as caught:
        read(root, space)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two people, as they should be."""
    for row in (ANNA, BERT):
        add_person(tmp_path, row)
    write_table(tmp_path, ANNA, BERT)
    return tmp_path


class TestSamples:
    def test_seven_of_each_person_in_the_order_of_the_table(self, root: Path) -> None:
        samples = read(root)
        assert len(samples) == 14
        assert samples.num_groups == 2
        assert list(samples.groups[::7]) == ["000001_female_Asian_20", "000002_male_Asian_60"]
        assert samples.images[0] == "train/images/000001_female_Asian_20/mask1.jpg"
        assert all(path.is_file() for path in samples.paths())
        assert samples.labels[:7].tolist() == [[0, 1, 0]] * 5 + [[1, 1, 0], [2, 1, 0]]
        assert samples.classes[7:].tolist() == [2] * 5 + [8, 14]
        assert np.isnan(samples.numbers[:, :2]).all()
        assert samples.numbers[::7, 2].tolist() == [20.0, 60.0]
        assert set(samples.sources) == {"competition"}
        assert set(samples.weights) == {1.0}

    def test_the_order_of_tasks_is_the_label_spaces(self, root: Path) -> None:
        samples = read(root, LabelSpace([SPACE.tasks[2], SPACE.tasks[0]]))
        assert samples.labels[7:].tolist() == [[2, 0]] * 5 + [[2, 1], [2, 2]]

    def test_a_task_may_be_the_race(self, root: Path) -> None:
        samples = read(root, LabelSpace([Task("race", ("Asian", "other"))]))
        assert set(samples.labels[:, 0]) == {0}

    def test_extensions_are_mixed_inside_one_folder(self, root: Path) -> None:
        folder = root / "train" / "images" / BERT.split(",")[-1]
        for stem, extension in (("mask1", ".png"), ("mask2", ".jpeg"), ("mask3", ".JPG"), ("normal", ".JPEG")):
            (folder / f"{stem}.jpg").rename(folder / f"{stem}{extension}")
        names = [image.rpartition("/")[2] for image in read(root).images[7:]]
        assert names == [
            "mask1.png",
            "mask2.jpeg",
            "mask3.JPG",
            "mask4.jpg",
            "mask5.jpg",
            "incorrect_mask.jpg",
            "normal.JPEG",
        ]

    def test_what_is_no_image_is_passed_over(self, root: Path) -> None:
        folder = root / "train" / "images" / BERT.split(",")[-1]
        for name in (
            "._mask1.jpg",
            "._normal.png",
            ".DS_Store",
            "Thumbs.db",
            "mask1.txt",
            "mask1.jpg.bak",
            "mask6.jpg",
        ):
            (folder / name).touch()
        (root / "train" / "images" / "._000001_female_Asian_20").touch()
        assert len(read(root)) == 14

    def test_an_id_of_two_people_is_two_people(self, tmp_path: Path) -> None:
        rows = [
            "003397,female,Asian,20,003397_female_Asian_20",
            "003397,male,Asian,30,003397_male_Asian_30",
            "001498-1,female,Asian,23,001498-1_female_Asian_23",
            "001498,male,Asian,23,001498_male_Asian_23",
        ]
        for row in rows:
            add_person(tmp_path, row)
        write_table(tmp_path, *rows)
        samples = read(tmp_path)
        assert samples.num_groups == 4
        assert samples.labels[::7, 1].tolist() == [1, 0, 1, 0]
        assert samples.groups[0] == "003397_female_Asian_20"  # the id stays a word with its zeros

    def test_names_however_they_are_typed(self, tmp_path: Path) -> None:
        names = [unicodedata.normalize(form, "000003_male_김_20") for form in ("NFC", "NFD")]
        for disk, typed in (names, reversed(names)):
            root = tmp_path / str(disk == names[0])
            add_person(root, f"000003,male ,김,20,{disk}")
            write_table(root, f"000003 ,male ,김, 20,{typed} ")
            samples = read(root)
            assert set(samples.groups) == {names[0]}
            assert samples.ids is not None
            assert set(samples.ids) == {"000003"}
            assert all(path.is_file() for path in samples.paths())
            write_table(root, *(f"000003,male,김,20,{name}" for name in names))
            assert refused(root).endswith("stands in line 2 too")

    def test_bom_windows_line_ends_and_blank_lines(self, root: Path) -> None:
        text = f"{HEADER}\r\n\r\n{ANNA}\r\n\r\n{BERT}\r\n\r\n"
        (root / "train" / "train.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert len(read(root)) == 14

    @pytest.mark.parametrize(
        ("age", "label"), [("29.999", 0), ("30", 1), ("59.99", 1), ("60", 2), ("18", 0), ("75", 2), ("", MISSING)]
    )
    def test_ages_fall_into_their_bins(self, tmp_path: Path, age: str, label: int) -> None:
        add_person(tmp_path, ANNA)
        write_table(tmp_path, ANNA.replace(",20,", f",{age},"))
        samples = read(tmp_path)
        assert set(samples.labels[:, 2]) == {label}
        assert set(samples.classes == MISSING) == {label == MISSING}

    def test_a_missing_label_is_missing_and_no_more(self, tmp_path: Path) -> None:
        add_person(tmp_path, ANNA)
        write_table(tmp_path, ANNA.replace("female,Asian,20,", ",Asian,20,"))
        assert read(tmp_path).labels[0].tolist() == [0, MISSING, 0]


class TestBadSamples:
    def test_no_table(self, tmp_path: Path) -> None:
        assert refused(tmp_path) == f"{tmp_path}/train/train.csv: no such file"

    def test_no_people(self, tmp_path: Path) -> None:
        write_table(tmp_path)
        assert refused(tmp_path) == f"{tmp_path}/train/train.csv: holds no people"

    @pytest.mark.parametrize("column", ["path", "gender", "age", "race"])
    def test_a_missing_column(self, root: Path, column: str) -> None:
        write_table(root, ANNA, header=HEADER.replace(column, "other"))
        assert refused(root).startswith(f"{root}/train/train.csv: has no column {column!r}")

    @pytest.mark.parametrize(
        ("row", "line"),
        [
            ("1,female,Asian,20", "must have 5 cells, found 4"),
            ("1,femal,Asian,20,p", "gender: unknown class 'femal'; did you mean 'female'"),
            ("1,Female,Asian,20,p", "gender: unknown class 'Female'; did you mean 'female'"),
            ("1,x,Asian,20,p", "gender: unknown class 'x'; it can be 'male', 'female'"),
            ("1,male,Asian,twenty,p", "age: must be a number, found 'twenty'"),
            ("1,male,Asian,nan,p", "age: must be a number, found 'nan'"),
            ("1,male,Asian,inf,p", "age: must be a number, found 'inf'"),
            ("1,male,Asian,20,../train/images/x", "path: leaves the data root: '../train/images/x'"),
            ("1,male,Asian,20,a/../../b", "path: leaves the data root: 'a/../../b'"),
            ("1,male,Asian,20,/abs", "path: must be a path inside the data root, found '/abs'"),
            ("1,male,Asian,20,C:\\x", "path: must be a path inside the data root, found 'C:\\\\x'"),
            ("1,male,Asian,20,", "path: must be a path inside the data root, found ''"),
            (ANNA, "path '000001_female_Asian_20' stands in line 2 too"),
            (ANNA + "/", "path '000001_female_Asian_20' stands in line 2 too"),
        ],
    )
    def test_a_wrong_row_is_named_with_its_line(self, root: Path, row: str, line: str) -> None:
        write_table(root, ANNA, row)
        assert refused(root).startswith(f"{root}/train/train.csv, line 3: {line}")

    def test_a_row_whose_folder_is_missing(self, root: Path) -> None:
        write_table(root, ANNA, "3,male,Asian,20,nobody")
        expected = f"{root}/train/train.csv, line 3: has no folder {root}/train/images/nobody"
        assert refused(root) == expected
        (root / "train" / "images" / "nobody").touch()  # a file in its place
        assert refused(root) == expected

    def test_a_name_that_is_too_long_for_a_folder(self, root: Path) -> None:
        write_table(root, "3,male,Asian,20," + "x" * 300)
        assert refused(root).startswith(f"{root}/train/train.csv, line 2: cannot read the folder ")

    @pytest.mark.parametrize("stem", MASK_OF_STEM)
    def test_none_or_two_of_one_image(self, root: Path, stem: str) -> None:
        folder = root / "train" / "images" / ANNA.split(",")[-1]
        (folder / f"{stem}.png").touch()
        must = f"{folder}: must hold one image {stem!r} ({SUFFIXES_TEXT}), found"
        assert refused(root) == f"{must} {stem}.jpg and {stem}.png"
        (folder / f"{stem}.png").unlink()
        (folder / f"{stem}.jpg").rename(folder / f"._{stem}.jpg")
        assert refused(root) == f"{must} none"

    def test_a_task_that_the_layout_does_not_have(self, root: Path) -> None:
        space = LabelSpace([Task("maks", ("a", "b"))])
        assert refused(root, space).startswith(
            "labels.tasks.maks: the competition layout has no such field; did you mean 'mask'"
        )

    def test_a_label_space_without_one_of_its_classes(self, root: Path) -> None:
        space = LabelSpace([Task("mask", ("wear", "not_worn"))])
        assert "incorrect_mask.jpg: mask: unknown class 'incorrect'" in refused(root, space)

    def test_a_cell_that_cannot_occur(self, root: Path) -> None:
        space = LabelSpace(SPACE.tasks, [{"mask": "wear", "gender": "male", "age": ">=60"}])
        assert refused(root, space) == (
            f"{root}/train/images/000002_male_Asian_60/mask1.jpg: is labelled 'wear/male/>=60', "
            "which labels.impossible says cannot occur"
        )


def write_queries(root: Path, *lines: str, header: str = "ImageID,ans") -> Path:
    (root / "eval" / "images").mkdir(parents=True, exist_ok=True)
    table = root / "eval" / "info.csv"
    table.write_text("\n".join([header, *lines]) + "\n")
    return table


class TestQueries:
    def test_in_the_order_of_the_table_whatever_the_folder_holds(self, tmp_path: Path) -> None:
        table = write_queries(tmp_path, "c.jpg,0", "a.png,0", "b.JPG,0")
        for name in ("a.png", "b.JPG", "c.jpg", "d.jpg", "._c.jpg"):
            (tmp_path / "eval" / "images" / name).touch()
        queries = CompetitionSettings().queries(tmp_path)
        assert list(queries.ids) == ["c.jpg", "a.png", "b.JPG"]
        assert [path.name for path in queries.paths] == list(queries.ids)
        assert queries.paths[0].parent == tmp_path / "eval" / "images"
        table.write_bytes(b"\xef\xbb\xbfImageID,ans\r\nc.jpg,0\r\n\r\na.png,0\r\n")
        assert list(CompetitionSettings().queries(tmp_path).ids) == ["c.jpg", "a.png"]

    def test_an_id_is_given_back_as_it_was_asked(self, tmp_path: Path) -> None:
        write_queries(tmp_path, "./c.jpg,0")
        (tmp_path / "eval" / "images" / "c.jpg").touch()
        assert list(CompetitionSettings().queries(tmp_path).ids) == ["./c.jpg"]

    @pytest.mark.parametrize(
        ("lines", "line"),
        [
            (["c.jpg,0", "../c.jpg,0"], "eval/info.csv, line 3: ImageID: leaves the data root: '../c.jpg'"),
            (["/etc/passwd,0"], "eval/info.csv, line 2: ImageID: must be a path inside the data root"),
            (["C:\\x,0"], "eval/info.csv, line 2: ImageID: must be a path inside the data root"),
            (["a/../../b,0"], "eval/info.csv, line 2: ImageID: leaves the data root"),
            (["c.jpg,0", "c.jpg,0"], "eval/info.csv, line 3: 'c.jpg' stands in line 2 too"),
            (["c.jpg,0", "./c.jpg,0"], "eval/info.csv, line 3: 'c.jpg' stands in line 2 too"),
            (["c.jpg"], "eval/info.csv, line 2: must have 2 cells, found 1"),
            ([], "eval/info.csv: holds no images to answer"),
            (["c.jpg,0", "d.jpg,0"], "eval/images/d.jpg: no such file"),
            (["d.jpg,0", "c.jpg,0", "e.jpg,0"], "eval/images/d.jpg: no such file (and 1 more of "),
            (["c.jpg,0", "x" * 300 + ".jpg,0"], "eval/images/xxx"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path: Path, lines: list[str], line: str) -> None:
        write_queries(tmp_path, *lines)
        (tmp_path / "eval" / "images" / "c.jpg").touch()
        with pytest.raises(UserError) as caught:
            CompetitionSettings().queries(tmp_path)
        assert str(caught.value).startswith(f"{tmp_path}/{line}")
        assert "\n" not in str(caught.value)

    def test_a_missing_table_or_column(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"eval/info\.csv: no such file$"):
            CompetitionSettings().queries(tmp_path)
        write_queries(tmp_path, header="Image,ans")
        with pytest.raises(UserError, match=r"eval/info\.csv: has no column 'ImageID'; did you mean 'Image'"):
            CompetitionSettings().queries(tmp_path)


class TestAnswered:
    def make(self, root: Path, *answers: str, header: str = "ImageID,ans") -> Samples:
        write_queries(root, "b.jpg,0", "a.jpg,0")
        for name in ("a.jpg", "b.jpg"):
            (root / "eval" / "images" / name).touch()
        (root / "answers.csv").write_text("\n".join([header, *answers]) + "\n")
        return CompetitionSettings().answered(root, SPACE)

    def test_true_classes_in_the_order_of_the_queries(self, tmp_path: Path) -> None:
        samples = self.make(tmp_path, "a.jpg,17,g", "b.jpg,4,h", "c.jpg,0,h", header="ImageID,ans,group")
        assert samples.classes.tolist() == [4, 17]
        assert list(samples.groups) == ["h", "g"]
        assert [path.name for path in samples.paths()] == ["b.jpg", "a.jpg"]

    def test_without_a_column_of_groups_each_image_is_its_own(self, tmp_path: Path) -> None:
        assert list(self.make(tmp_path, "a.jpg,17", "b.jpg,4").groups) == ["b.jpg", "a.jpg"]

    @pytest.mark.parametrize(
        ("answers", "line"),
        [
            (["a.jpg,18", "b.jpg,0"], r"answers\.csv, line 2: ans must be a class from 0 to 17, found '18'$"),
            (["a.jpg,1", "b.jpg,-1"], r"answers\.csv, line 3: ans must be a class from 0 to 17, found '-1'$"),
            (["a.jpg,x", "b.jpg,1"], r"answers\.csv, line 2: ans must be a class from 0 to 17, found 'x'$"),
            (["a.jpg,1"], r"answers\.csv: has no answer for 'b\.jpg' \(1 lack one\)$"),
        ],
    )
    def test_answers_that_do_not_fit_are_named(self, tmp_path: Path, answers: list[str], line: str) -> None:
        with pytest.raises(UserError, match=line):
            self.make(tmp_path, *answers)

    def test_no_answers(self, tmp_path: Path) -> None:
        write_queries(tmp_path, "a.jpg,0")
        (tmp_path / "eval" / "images" / "a.jpg").touch()
        with pytest.raises(UserError, match=r"answers\.csv: no such file$"):
            CompetitionSettings().answered(tmp_path, SPACE)


@pytest.mark.skipif(not MINI.is_dir(), reason="the folder shared/ with mask18-mini is not beside the project")
class TestRealSet:
    def test_its_people_and_images(self) -> None:
        samples = read(MINI)
        assert len(samples) == 1687
        assert samples.num_groups == 241
        assert set(Counter(samples.groups).values()) == {7}
        assert Counter(samples.labels[:, 0]) == {0: 241 * 5, 1: 241, 2: 241}
        assert not (samples.labels == MISSING).any()
        assert len({path.suffix for path in samples.paths()}) > 1
        assert not any(path.name.startswith("._") for path in samples.paths())

    def test_its_queries(self) -> None:
        queries = CompetitionSettings().queries(MINI)
        assert len(queries.ids) == len(set(queries.ids)) == 406
