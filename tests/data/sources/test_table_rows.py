"""The rows of a table: cells as people write them, and a line that names file, row and column where one is wrong."""

from __future__ import annotations

import math
import os
import unicodedata
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from multitask.data.sources import cells
from multitask.data.sources.table import TableSettings
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace, Task
from tests.data.sources.garments import ROWS, SPACE, read, write


def refused(root: Path, **settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(root, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{root}/")


class TestRows:
    def test_names_numbers_and_what_is_missing(self, tmp_path: Path) -> None:
        write(tmp_path, ROWS)
        samples = read(tmp_path)
        assert samples.images.tolist() == ["a.jpg", "b/c.jpg", "d.jpg"]
        assert samples.labels.tolist() == [[0, 0], [1, 1], [MISSING, MISSING]]
        np.testing.assert_array_equal(samples.numbers, [[np.nan, 19.9], [np.nan, 20], [np.nan, np.nan]])
        assert samples.groups.tolist() == samples.images.tolist()  # each on its own
        assert samples.weights.tolist() == [1, 1, 1]
        assert samples.sides is samples.boxes is samples.ids is None
        assert list(samples.paths()) == [tmp_path / "a.jpg", tmp_path / "b/c.jpg", tmp_path / "d.jpg"]

    def test_numbers_are_read_the_same_however_they_are_spelt(self, tmp_path: Path) -> None:
        words = ["19.9", " 20 ", "+21", "2e1", "", "20.", ".5", "-0", "-3.25", "0019", "1000000000000000000"]
        write(tmp_path, [f"{row}.jpg,shirt,{word}" for row, word in enumerate(words)])
        samples = read(tmp_path)
        expected = [float(word) if word else np.nan for word in words]
        np.testing.assert_array_equal(samples.numbers[:, 1], expected)
        assert samples.labels[:, 1].tolist() == [0, 1, 1, 1, MISSING, 1, 0, 0, 0, 0, 1]

    @pytest.mark.parametrize(
        ("first", "second", "found"),
        [
            ("-1", "much", "at least 0"),
            ("much", "-1", "a number"),
            ("+9e9", "-1", "at most 99"),
            ("", "-1", "at least 0"),
        ],
    )
    def test_of_numbers_that_are_wrong_the_first_is_told(
        self, tmp_path: Path, first: str, second: str, found: str
    ) -> None:
        space = LabelSpace([Task("price", ("cheap", "dear"), "binned", (20.0,), lowest=0.0, highest=99.0)])
        write(tmp_path, ["a.jpg,1", f"b.jpg,{first}", f"c.jpg,{second}"], header="path,price")
        line = 4 if first == "" else 3
        with pytest.raises(UserError, match=rf"train\.csv, line {line}: price: must be {found}"):
            read(tmp_path, space)

    def test_every_column_that_there_can_be(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            ["a.jpg,2,18,A,0.5,train,1,2,30,40,x", "b.jpg,0,,A,2,train,,,,,x", "c.jpg,,5,B,0,val,0,0,1.5,1,y"],
            header="file,kind,cm,who,w,part,l,t,r,b,code",
        )
        samples = read(
            tmp_path,
            path="file",
            tasks={"garment": {"column": "kind", "indices": True, "number": "cm"}, "price": {"column": "cm"}},
            group="who",
            weight="w",
            split="part",
            box=["l", "t", "r", "b"],
            id="code",
        )
        assert samples.labels.tolist() == [[2, 0], [0, MISSING], [MISSING, 0]]
        np.testing.assert_array_equal(samples.numbers, [[18, 18], [np.nan, np.nan], [5, 5]])
        assert samples.groups.tolist() == ["A", "A", "B"]
        assert samples.weights.tolist() == [0.5, 2, 0]
        assert samples.ids is not None
        assert samples.ids.tolist() == ["x", "x", "y"]
        assert samples.sides is not None
        assert samples.sides.tolist() == [0, 0, 1]
        np.testing.assert_array_equal(samples.boxes, [[1, 2, 30, 40], [np.nan] * 4, [0, 0, 1.5, 1]])
        taken = samples.take(np.array([2, 0]))
        np.testing.assert_array_equal(taken.boxes, [[0, 0, 1.5, 1], [1, 2, 30, 40]])
        assert taken.sides is not None
        assert taken.sides.tolist() == [1, 0]

    def test_three_way_splits_in_anybodys_words(self, tmp_path: Path) -> None:
        words = ["train", "Training", "VALID", " dev", "test", "HoldOut", "eval "]
        write(tmp_path, [f"{row}.jpg,shirt,1,{word}" for row, word in enumerate(words)], "path,garment,price,part")
        for splits, sides in (
            ({}, [0, 0, 1, 1, 2, 2, 2]),
            ({"val": ["dev", "valid", "Eval"], "test": ["test", "holdout"]}, [0, 0, 1, 1, 2, 2, 1]),
            ({"train": ["train", "training", "valid", "dev"], "val": []}, [MISSING] * 4 + [2] * 3),
        ):
            found = read(tmp_path, split="part", splits=splits)
            assert found.sides is not None
            assert found.sides.tolist() == sides
        assert TableSettings(split="part").says_sides
        assert not TableSettings.model_validate({"split": "part", "splits": {"val": []}}).says_sides

    def test_parquet_says_what_csv_says(self, tmp_path: Path) -> None:
        write(tmp_path, ["a.jpg,1,19.9,7", "b.jpg,2,20,7", "c.jpg,,,8"], header="path,garment,price,who")
        frame = pd.DataFrame(
            {
                "path": pd.Categorical(["a.jpg", "b.jpg", "c.jpg"]),
                "garment": [1, 2, np.nan],  # whole numbers beside an empty cell become 1.0
                "price": [19.9, 20.0, np.nan],
                "who": [7, 7, 8],
            }
        )
        frame.to_parquet(tmp_path / "train.parquet")
        settings: dict[str, Any] = {"tasks": {"garment": {"indices": True}}, "group": "who"}
        first, second = read(tmp_path, **settings), read(tmp_path, file="train.parquet", **settings)
        for name, column in first.columns().items():
            np.testing.assert_array_equal(column, getattr(second, name))

    def test_numbers_that_are_all_different(self, tmp_path: Path) -> None:
        prices = np.linspace(0, 40, 20_001)
        write(tmp_path, [f"{row}.jpg,shirt,{price}" for row, price in enumerate(prices)])
        samples = read(tmp_path)
        np.testing.assert_array_equal(samples.numbers[:, 1], prices)
        np.testing.assert_array_equal(samples.labels[:, 1], prices >= 20)

    @pytest.mark.parametrize("kind", ["float16", "float32", "category"])
    def test_numbers_of_less_precision_are_those_that_a_csv_file_has(self, kind: str, tmp_path: Path) -> None:
        prices = pd.Series(np.array([0.1, 0.3, 0.7, np.nan], np.float32))
        prices = prices.astype(kind)  # as a double, the 0.7 of single precision is a little less
        frame = pd.DataFrame({"path": list("abcd"), "garment": prices, "price": prices})
        frame.to_parquet(tmp_path / "train.parquet")
        tasks = [Task("garment", ("0.1", "0.3", "0.7")), Task("price", ("<0.7", ">=0.7"), "binned", (0.7,))]
        samples = TableSettings(file="train.parquet").samples(tmp_path, LabelSpace(tasks))
        assert samples.labels.tolist() == [[0, 0], [1, 0], [2, 1], [MISSING, MISSING]]
        np.testing.assert_array_equal(samples.numbers[:, 1], [0.1, 0.3, 0.7, np.nan])

    def test_indices_as_pandas_writes_them(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"path": list("abc"), "garment": [1, 2, None], "price": [True, False, None]})
        frame.to_csv(tmp_path / "train.csv", index=False)
        frame.to_parquet(tmp_path / "train.parquet")
        assert "a,1.0,True" in (tmp_path / "train.csv").read_text()
        tasks = {"garment": {"indices": True}, "price": {"indices": True}}
        for file in ("train.csv", "train.parquet"):
            assert read(tmp_path, file=file, tasks=tasks).labels.tolist() == [[1, 1], [2, 0], [MISSING, MISSING]]

    def test_classes_that_are_numbers_as_pandas_writes_them(self, tmp_path: Path) -> None:
        space = LabelSpace([Task("smiles", ("0", "1")), SPACE.tasks[1]])
        write(tmp_path, ["a.jpg,1.0,", "b.jpg,0.0,", "c.jpg,,", "d.jpg,1,"], header="path,smiles,price")
        assert read(tmp_path, space).labels[:, 0].tolist() == [1, 0, MISSING, 1]

    def test_names_however_they_are_typed(self, tmp_path: Path) -> None:
        korean, decomposed = "김", unicodedata.normalize("NFD", "김")
        (tmp_path / decomposed).mkdir()
        (tmp_path / decomposed / "1.jpg").touch()
        rows = [
            f"{korean}/1.jpg,shirt ,1,anna",
            "a.jpg,\u00a0skirt,1,anna ",
            f"b.jpg,skirt,1,{korean}",
            "c.jpg,skirt,1,Anna",
        ]
        write(tmp_path, [*rows, f"d.jpg,skirt,1,{decomposed}"], header="\ufeffpath, garment,price\u00a0,who")
        samples = read(tmp_path, group=" who")
        assert samples.groups.tolist() == ["anna", "anna", korean, "Anna", korean]
        assert samples.labels[:, 0].tolist() == [0, 1, 1, 1, 1]
        assert samples.paths()[0] == tmp_path / decomposed / "1.jpg"
        assert [note.partition(" typed")[0] for note in samples.notes] == [
            "train.csv, who: 2 names are",
            "train.csv, garment: 2 names are",
        ]
        write(tmp_path, [f"{korean}/1.jpg,shirt,1", f"{decomposed}/1.jpg,shirt,1"])
        assert refused(tmp_path).endswith("stands in line 2 too")
        (tmp_path / korean).mkdir()
        (tmp_path / korean / "1.jpg").touch()
        assert len(read(tmp_path)) == 2  # two files, however alike their names look

    def test_groups_with_a_fraction_and_without_are_one(self, tmp_path: Path) -> None:
        rows = ["a.jpg,shirt,1,12", "b.jpg,shirt,1,12.0", "c.jpg,shirt,1,13.0", "d.jpg,shirt,1,x.0"]
        write(tmp_path, rows, header="path,garment,price,who")
        samples = read(tmp_path, group="who")
        assert samples.groups.tolist() == ["12", "12", "13.0", "x.0"]
        assert samples.notes == (
            "train.csv, who: 1 whole number is written with a fraction and without, and taken as one each, as '12.0'",
        )

    def test_a_split_in_numbers_as_pandas_writes_them(self, tmp_path: Path) -> None:
        write(tmp_path, ["a.jpg,shirt,1,0.0", "b.jpg,shirt,1,1.0"], header="path,garment,price,part")
        sides = read(tmp_path, split="part", splits={"train": [0], "val": [1], "test": [2]}).sides
        assert sides is not None
        assert sides.tolist() == [0, 1]

    def test_texts_of_a_parquet_file_that_says_bytes(self, tmp_path: Path) -> None:
        columns = {"path": [b"a.jpg"], "garment": [b"shirt"], "price": [b"19.5"], "who": ["김".encode()]}
        pq.write_table(pa.table(columns), tmp_path / "train.parquet")
        samples = read(tmp_path, file="train.parquet", group="who")
        assert samples.images.tolist() == ["a.jpg"]
        assert samples.labels.tolist() == [[0, 0]]
        assert samples.groups.tolist() == ["김"]

    def test_paths_with_the_slashes_of_windows(self, tmp_path: Path) -> None:
        write(tmp_path, ["p\\001.png,shirt,1", "p\\x\\2.png,shirt,1", "p/003.png,shirt,1"])
        samples = read(tmp_path)
        assert samples.images.tolist() == ["p/001.png", "p/x/2.png", "p/003.png"]
        assert samples.notes == ("train.csv: 2 paths are written with \\, which is read as /",)
        (tmp_path / "p\\001.png").touch()  # a file that is really called so
        assert read(tmp_path).images[0] == "p\\001.png"

    def test_other_delimiters_and_encodings(self, tmp_path: Path) -> None:
        text = "path;garment;price\nä.jpg;shirt;1\n"
        (tmp_path / "train.csv").write_bytes(text.encode("cp1252"))
        assert read(tmp_path, delimiter=";", encoding="cp1252").images.tolist() == ["ä.jpg"]
        (tmp_path / "train.tsv").write_text(text.replace(";", "\t"))
        assert read(tmp_path, file="train.tsv", delimiter="\t").images.tolist() == ["ä.jpg"]
        assert refused(tmp_path, file="train.tsv") == (
            'train.tsv: its cells are separated by tabs, not commas; set the source\'s delimiter: "\\t"'
        )


class TestBadRows:
    @pytest.mark.parametrize(
        ("row", "line"),
        [
            ("x.jpg,shrt,1", "train.csv, line 3: garment: unknown class 'shrt'; did you mean 'shirt'"),
            ("x.jpg,shirt,much", "train.csv, line 3: price: must be a number, found 'much'"),
            ("x.jpg,shirt,inf", "train.csv, line 3: price: must be a number, found 'inf'"),
            ("x.jpg,shirt", "train.csv, line 3: must have 3 cells, found 2"),
            ("/x.jpg,shirt,1", "train.csv, line 3: path: must be a path inside the data root, found '/x.jpg'"),
            ("../x.jpg,shirt,1", "train.csv, line 3: path: leaves the data root: '../x.jpg'"),
            ("b/../../x.jpg,shirt,1", "train.csv, line 3: path: leaves the data root: 'b/../../x.jpg'"),
            (",shirt,1", "train.csv, line 3: path: must be a path inside the data root, found ''"),
            ("a.jpg,skirt,1", "train.csv, line 3: path 'a.jpg' stands in line 2 too"),
            ("a.jpg ,skirt,1", "train.csv, line 3: path 'a.jpg ' stands in line 2 too"),
            (
                'x.jpg,shirt,"19,90"',
                "train.csv, line 3: price: must be a number, found '19,90'; write it with a decimal",
            ),
            ("x.jpg,shirt,NaN", "train.csv, line 3: price: must be a number, found 'NaN'; that is how programs write"),
            (
                "x.jpg,None,1",
                "train.csv, line 3: garment: unknown class 'None'; that is how programs write what is missi",
            ),
            ("C:\\p\\x.jpg,shirt,1", "train.csv, line 3: path: must be a path inside the data root, found 'C:"),
            ("./a.jpg,skirt,1", "train.csv, line 3: path 'a.jpg' stands in line 2 too"),
        ],
    )
    def test_is_named_with_its_line(self, tmp_path: Path, row: str, line: str) -> None:
        write(tmp_path, [ROWS[0], row])
        assert refused(tmp_path).startswith(line)

    @pytest.mark.parametrize(
        ("cell", "settings", "line"),
        [
            ("3", {"tasks": {"garment": {"column": "x", "indices": True}}}, "x: must be an index of garment's classes"),
            ("-1", {"tasks": {"garment": {"column": "x", "indices": True}}}, "x: must be an index of garment's"),
            ("no", {"weight": "x"}, "x: must be a number, found 'no'"),
            ("-1", {"weight": "x"}, "x: must be a number of at least 0, found '-1'"),
            ("", {"weight": "x"}, "x: must be a number of at least 0, found ''"),
            (
                "hold",
                {"split": "x"},
                "x: must be train or training (train), val or valid or validation or dev (val), test",
            ),
            ("", {"split": "x"}, "x: must be train or training (train), val"),
            ("nan", {"split": "x"}, "x: must be train or training (train), val"),
            ("val", {"split": "x", "splits": {"val": []}}, "x: must be train or training (train), test or testing or"),
            ("", {"group": "x"}, "x: is empty"),
            ("\u00a0", {"group": "x"}, "x: is empty"),
            ("nan", {"group": "x"}, "x: is 'nan', which is how programs write what is missing; give each of these"),
            ("True", {"tasks": {"garment": {"column": "x", "indices": True}}}, "x: must be an index of garment's"),
            ("1.5", {"tasks": {"garment": {"column": "x", "indices": True}}}, "x: must be an index of garment's"),
            ("5", {"box": ["x", "price", "x", "price"]}, "x, price, x, price: must be left < right and top < bottom"),
            ("", {"box": ["x", "price", "price", "price"]}, "x, price, price, price: must be left < right"),
        ],
    )
    def test_in_a_column_that_a_setting_names(
        self, tmp_path: Path, cell: str, settings: dict[str, Any], line: str
    ) -> None:
        write(tmp_path, [f"a.jpg,shirt,1,{cell}"], header="path,garment,price,x")
        assert refused(tmp_path, **settings).startswith(f"train.csv, line 2: {line}")

    def test_a_group_in_two_splits(self, tmp_path: Path) -> None:
        rows = ["a.jpg,shirt,1,A,train", "b.jpg,shirt,1,B,val", "c.jpg,shirt,1,A,val"]
        write(tmp_path, rows, header="path,garment,price,who,part")
        assert refused(tmp_path, group="who", split="part") == (
            "train.csv, line 4: group 'A' is in 'val' here and in 'train' in line 2; a group cannot be in both"
        )
        rows = ["a.jpg,shirt,1,A,testing", "b.jpg,shirt,1,B,train", "c.jpg,shirt,1,A ,train"]
        write(tmp_path, rows, header="path,garment,price,who,part")
        assert refused(tmp_path, group="who", split="part", splits={"val": []}) == (
            "train.csv, line 4: group 'A' is in 'train' here and in 'test' in line 2; a group cannot be in both"
        )

    def test_columns_that_are_missing(self, tmp_path: Path) -> None:
        write(tmp_path, ROWS, header="path,garmnt,price")
        assert refused(tmp_path) == "train.csv: has no column 'garment'; did you mean 'garmnt'?"
        write(tmp_path, ROWS)
        assert refused(tmp_path, split="part").startswith("train.csv: has no column 'part'")

    def test_files(self, tmp_path: Path) -> None:
        assert refused(tmp_path) == "train.csv: no such file"
        assert refused(tmp_path, file="t.parquet") == "t.parquet: no such file"
        write(tmp_path, [])
        assert refused(tmp_path) == "train.csv: holds no rows"
        (tmp_path / "t.parquet").write_bytes(b"PAR1 no")
        assert refused(tmp_path, file="t.parquet").startswith("t.parquet: cannot be read as Parquet: ")
        pd.DataFrame({"path": ["a.jpg"], "garmnt": ["shirt"]}).to_parquet(tmp_path / "t.parquet")
        assert refused(tmp_path, file="t.parquet").startswith("t.parquet: has no column 'garment'; did you mean")

    def test_a_cell_that_cannot_occur(self, tmp_path: Path) -> None:
        write(tmp_path, ROWS)
        space = LabelSpace(SPACE.tasks, [{"garment": "skirt", "price": "dear"}])
        with pytest.raises(UserError, match=r"b/c\.jpg: is labelled 'skirt/dear', which labels\.impossible"):
            read(tmp_path, space)


class TestParts:
    """A table is read some thousands of rows at a time: what is said of it is the same however many these are."""

    HEADER = "path,garment,price,who,w,l,t,r,b,x,y,xx,yy,part,code"
    ROWS: ClassVar = [
        f"d{row % 3}/{row}.jpg,{['shirt', 'skirt'][row % 2]},{row},p{row // 2},1,,,,,,,,,train,c{row}"
        for row in range(9)
    ]
    SETTINGS: ClassVar[dict[str, Any]] = {
        "group": "who",
        "weight": "w",
        "box": list("ltrb"),
        "eyes": ["x", "y", "xx", "yy"],
        "split": "part",
        "splits": {"val": []},
        "id": "code",
    }

    def outcome(self, root: Path, file: str) -> object:
        try:
            samples = read(root, file=file, **self.SETTINGS)
        except UserError as error:
            return str(error)
        return repr([(name, column.tolist()) for name, column in samples.columns().items()]), samples.notes

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({}, ""),
            ({5: {0: "../up.jpg", 1: "hat"}, 6: {0: "../up.jpg"}}, "6: path: leaves"),
            ({3: {1: "hat", 2: "x"}, 2: {14: " "}}, "3: code: is empty"),
            ({3: {2: "x"}, 4: {1: "hat"}}, "4: price: must be a number"),
            ({4: {5: "a"}, 5: {5: "1"}, 6: {2: "x"}}, "5: l: must be a number"),
            ({4: {5: "3", 6: "1", 7: "2", 8: "2", 9: "z"}}, "5: l, t, r, b: must be left < right"),
            ({4: {9: "1"}, 5: {3: " "}}, "5: x, y, xx, yy: must be two places"),
            ({4: {3: "nan", 4: "-1"}}, "5: who: is 'nan', which is how"),
            ({4: {4: "-1", 13: "later"}}, "5: w: must be a number of at least 0, found '-1'"),
            ({4: {13: "later"}, 5: {3: "null"}}, "5: part: must be train"),
            ({8: {0: "d1/4.jpg"}, 7: {0: "d0/3.jpg"}}, "8: path 'd0/3.jpg' stands in "),
            ({2: {3: "p0 "}, 3: {3: "p\u200b0"}, 7: {3: " p2"}, 8: {3: "p2"}, 5: {1: "shirt "}}, ""),
            ({3: {13: "test"}}, "4: group 'p1' is in 'test' here and in 'train' in "),
        ],
    )
    @pytest.mark.parametrize("file", ["train.csv", "train.parquet"])
    def test_a_row_at_a_time_says_the_same(
        self, wrong: dict[int, dict[int, str]], told: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table = [row.split(",") for row in self.ROWS]
        for row, changes in wrong.items():
            for column, text in changes.items():
                table[row][column] = text
        frame = pd.DataFrame(table, columns=self.HEADER.split(","))
        frame.to_csv(tmp_path / "train.csv", index=False)
        frame.to_parquet(tmp_path / "train.parquet")
        found = self.outcome(tmp_path, file)
        assert isinstance(found, str) == bool(told)
        if told:
            where = f"line {int(told[0]) + 1}" if file.endswith(".csv") else f"row {told[0]}"
            assert f"{file}, {where}{told[1:]}" in str(found)
        for rows in (1, 2, 7):
            monkeypatch.setattr("multitask.data.sources.cells.ROWS_AT_ONCE", rows)
            assert self.outcome(tmp_path, file) == found

    def test_a_row_without_all_its_cells_is_told_after_those_before_it(self, tmp_path: Path) -> None:
        write(tmp_path, ["a.jpg,hat,1", "b.jpg,shirt"])
        assert refused(tmp_path).startswith("train.csv, line 2: garment: unknown class 'hat'")
        write(tmp_path, ["a.jpg,shirt,1", "b.jpg,shirt", "c.jpg,hat,1"])
        assert refused(tmp_path) == "train.csv, line 3: must have 3 cells, found 2"

    @pytest.mark.parametrize("price", [[-0.0, 0.1, 1e18, None], [1, 20, 2**53 + 1, None], [True, False, True, False]])
    def test_numbers_are_read_as_their_texts_are(self, price: list[Any], tmp_path: Path) -> None:
        frame = pd.DataFrame({"path": list("abcd"), "garment": "shirt", "price": pd.Series(price, dtype=object)})
        frame.assign(price=frame["price"].map(cells.text)).to_parquet(tmp_path / "texts.parquet")
        frame.assign(price=frame["price"].convert_dtypes()).to_parquet(tmp_path / "train.parquet")
        if price[0] is True:
            assert refused(tmp_path, file="train.parquet").startswith("train.parquet, row 1: price: must be a number")
            return
        samples, expected = (read(tmp_path, file=file) for file in ("train.parquet", "texts.parquet"))
        np.testing.assert_array_equal(samples.labels, expected.labels)
        np.testing.assert_array_equal(samples.numbers, expected.numbers)
        assert not np.signbit(samples.numbers[0, 1])

    @pytest.mark.parametrize("price", [math.inf, -math.inf, 1e19])
    def test_a_number_that_is_none_is_named(self, price: float, tmp_path: Path) -> None:
        pd.DataFrame({"path": list("ab"), "garment": "shirt", "price": [1, price]}).to_parquet(tmp_path / "t.parquet")
        assert refused(tmp_path, file="t.parquet").startswith("t.parquet, row 2: price: must be a number, found '")

    def test_texts_that_are_no_utf_8(self, tmp_path: Path) -> None:
        paths = pa.array([b"a.jpg", b"\xff.jpg"]).view(pa.string())
        pq.write_table(pa.table({"path": paths, "garment": ["shirt"] * 2, "price": [1, 2]}), tmp_path / "t.parquet")
        assert refused(tmp_path, file="t.parquet").endswith(": Invalid UTF8 sequence at string index 1")

    def test_folders_with_many_images_are_looked_through_for_links(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, num = tmp_path / "root", 300
        (root / "many").mkdir(parents=True)
        for row in range(num):
            (root / f"many/{row}.jpg").touch()
        write(root, [f"{folder}/{row}.jpg,shirt,1" for folder in ("many", "nowhere") for row in range(num)])
        looks: list[str] = []
        readlink = os.readlink
        monkeypatch.setattr(os, "readlink", lambda path: (looks.append(path), readlink(path))[1])
        assert len(read(root)) == 2 * num
        assert len(looks) < num / 4
        (tmp_path / "far.jpg").touch()
        (root / f"many/{num - 1}.jpg").unlink()
        (root / f"many/{num - 1}.jpg").symlink_to(tmp_path / "far.jpg")
        assert "many/299.jpg: is a link that leads out of the data root" in refused(root)
