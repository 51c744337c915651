"""Label corrections: what is said is done, nothing else; what does not match the data is refused by name."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multitask.data.corrections import TIERS, CorrectionsRecord, CorrectionsSettings, correct, read_corrections
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace, Task
from multitask.settings.yaml_text import dump_yaml
from multitask.utils.records import to_json_data

SPACE = LabelSpace(
    [
        Task("mask", ("wear", "incorrect", "not_worn")),
        Task("gender", ("male", "female")),
        Task("age", ("<30", "30-60", ">=60"), "binned", (30.0, 60.0)),
    ]
)
SHIPPED = sorted((Path(__file__).parents[2] / "configs" / "corrections").iterdir())


def people(*ids: str, gender: str = "male", age: float = 40) -> Samples:
    """Three images of each person: masked, incorrect, without."""
    images = [f"images/{name}_x/{stem}.jpg" for name in ids for stem in ("mask1", "incorrect_mask", "normal")]
    num = len(images)
    values = {"mask": list(SPACE.tasks[0].classes) * len(ids), "gender": [gender] * num, "age": [age] * num}
    groups = [f"{name}_x" for name in ids for _ in range(3)]
    samples = Samples.from_values(SPACE, Path("/set"), images, groups, values, "test")
    return replace(samples, ids=np.array([name for name in ids for _ in range(3)], dtype=object))


def entry(**changes: Any) -> dict[str, Any]:
    base = {
        "id": "1",
        "field": "gender",
        "from": "male",
        "to": "female",
        "reason": "r",
        "source": "s",
        "tier": "strong",
    }
    return {key: value for key, value in {**base, **changes}.items() if value is not None}


def write(tmp_path: Path, *entries: dict[str, Any]) -> str:
    path = tmp_path / "fixes.yaml"
    path.write_text(dump_yaml({"corrections": list(entries)}))
    return str(path)


def done(
    tmp_path: Path, samples: Samples, *entries: dict[str, Any], **settings: Any
) -> tuple[Samples, CorrectionsRecord]:
    found = correct(samples, CorrectionsSettings(files=(write(tmp_path, *entries),), **settings))
    return found.samples, found.record


def refused(tmp_path: Path, samples: Samples, *entries: dict[str, Any], **settings: Any) -> str:
    before = samples.labels.copy()
    with pytest.raises(UserError) as caught:
        done(tmp_path, samples, *entries, **settings)
    np.testing.assert_array_equal(samples.labels, before)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{tmp_path}/fixes.yaml: ")
    return line.removeprefix(f"{tmp_path}/fixes.yaml: ")


class TestWhatIsDone:
    def test_a_persons_gender_and_nobody_elses(self, tmp_path: Path) -> None:
        before = people("1", "2")
        samples, record = done(tmp_path, before, entry())
        assert samples.labels[:, 1].tolist() == [1, 1, 1, 0, 0, 0]
        assert (before.labels[:, 1] == 0).all()  # the source's own table stands
        np.testing.assert_array_equal(samples.labels[:, [0, 2]], before.labels[:, [0, 2]])
        assert to_json_data(record) == {
            "tier": "strong",
            "applied": [{"file": str(tmp_path / "fixes.yaml"), **entry(), "num_images": 3}],
            "absent": [],
        }

    @pytest.mark.parametrize(
        ("path", "rows"),
        [
            ("images/2_x/normal.jpg", [5]),
            ("images/2_x", [3, 4, 5]),
            ("images/2_x/", [3, 4, 5]),
            ("2_x", [3, 4, 5]),
            ("images", [0, 1, 2, 3, 4, 5]),
        ],
    )
    def test_by_an_images_a_folders_or_a_groups_path(self, tmp_path: Path, path: str, rows: list[int]) -> None:
        samples, _ = done(tmp_path, people("1", "2"), entry(id=None, path=path))
        assert np.flatnonzero(samples.labels[:, 1]).tolist() == rows

    def test_of_a_persons_images_those_with_the_wrong_label(self, tmp_path: Path) -> None:
        fix = entry(field="mask", **{"from": "incorrect", "to": "wear"})
        samples, record = done(tmp_path, people("1"), fix)
        assert samples.labels[:, 0].tolist() == [0, 0, 2]
        assert record.applied[0]["num_images"] == 1

    def test_a_swap_as_two_corrections_and_as_one(self, tmp_path: Path) -> None:
        there = entry(field="mask", **{"from": "incorrect", "to": "not_worn"})
        back = entry(field="mask", **{"from": "not_worn", "to": "incorrect"})
        for fixes in ([there, back], [back, there], [{**there, "both": True}], [{**back, "both": True}]):
            samples, _ = done(tmp_path, people("1"), *fixes)
            assert samples.labels[:, 0].tolist() == [0, 2, 1]

    def test_both_turns_round_what_is_there(self, tmp_path: Path) -> None:
        for gender, label in (("male", 1), ("female", 0)):
            samples, _ = done(tmp_path, people("1", gender=gender), entry(both=True))
            assert set(samples.labels[:, 1]) == {label}

    @pytest.mark.parametrize(
        ("old", "new", "label", "number"),
        [
            ("40", "29", 0, 29),
            ("40", "60", 2, 60),
            (">=30", "<30", 0, np.nan),
            ("30-60", "<30", 0, np.nan),
            ("40-41", "25-30", 0, np.nan),
            ("<60", "60", 2, 60),
            (" >= 30 ", "1e1 - 2e1", 0, np.nan),
            ("40", "-5", 0, -5),
            ("-5-41", "-7.5--5", 0, np.nan),
        ],
    )
    def test_numbers_and_ranges(self, tmp_path: Path, old: str, new: str, label: int, number: float) -> None:
        samples, _ = done(tmp_path, people("1"), entry(field="age", **{"from": old, "to": new}))
        assert set(samples.labels[:, 2]) == {label}
        np.testing.assert_array_equal(samples.numbers[:, 2], [number] * 3)

    def test_names_however_they_are_typed(self, tmp_path: Path) -> None:
        names = [unicodedata.normalize(form, "김") for form in ("NFC", "NFD")]
        for written, asked in (names, reversed(names)):
            images = [f"{written}/1 .jpg"]
            space = LabelSpace([Task("who", (names[0], "b"))])
            samples = Samples.from_values(space, Path("/"), images, ["anna"], {"who": [written]}, "test")
            samples = replace(samples, ids=np.array([names[0]], dtype=object))
            for place in (
                {"path": f"{asked}/1\u00a0.jpg "},
                {"path": f" {asked}/"},
                {"path": "anna "},
                {"id": f"{asked}\t"},
            ):
                fix = entry(**{"id": None, "field": "who", "from": f"{asked} ", "to": " b", **place})
                assert done(tmp_path, samples, fix)[0].labels.tolist() == [[1]]

    def test_a_range_means_the_same_with_other_classes(self, tmp_path: Path) -> None:
        space = LabelSpace([Task("age", ("young", "old"), "binned", (30.0,))])
        samples = Samples.from_values(space, Path("/"), ["a.jpg"], ["a"], {"age": [45]}, "test")
        fix = entry(id=None, path="a.jpg", field="age", **{"from": ">=30", "to": "<30"})
        assert done(tmp_path, samples, fix)[0].labels.tolist() == [[0]]
        space = LabelSpace([Task("age", ("a", "b", "c"), "binned", (20.0, 40.0))])
        samples = Samples.from_values(space, Path("/"), ["a.jpg"], ["a"], {"age": [45]}, "test")
        assert refused(tmp_path, samples, fix) == "corrections.0: age: '<30' is not inside one of a, b, c"

    def test_dropped_images_are_gone(self, tmp_path: Path) -> None:
        samples, record = done(tmp_path, people("1", "2"), entry(field="drop", **{"from": None, "to": None}))
        assert set(samples.groups) == {"2_x"}
        assert len(samples) == 3
        assert record.applied[0]["num_images"] == 3

    def test_only_tiers_at_least_as_sure(self, tmp_path: Path) -> None:
        fixes = [entry(id=str(index), tier=tier) for index, tier in enumerate(TIERS)]
        for num, tier in enumerate(TIERS, start=1):
            samples, record = done(tmp_path, people("0", "1", "2", "3"), *fixes, tier=tier)
            assert samples.labels[::3, 1].tolist() == [1] * num + [0] * (4 - num)
            assert len(record.applied) == num

    def test_who_tests_is_left_alone_unless_asked(self, tmp_path: Path) -> None:
        samples = replace(people("1", "2"), sides=np.array([0, 0, 0, 2, 2, 2]))
        fixes = [
            entry(),
            entry(id="2"),
            entry(id=None, path="images", field="mask", **{"from": "wear", "to": "not_worn"}),
        ]
        drop = entry(id="2", field="drop", to=None, **{"from": None})
        found, record = done(tmp_path, samples, *fixes, drop)
        assert found.labels[:, 1].tolist() == [1, 1, 1, 0, 0, 0]
        assert found.labels[:, 0].tolist() == [2, 1, 2, 0, 1, 2]
        assert [row["num_images"] for row in record.applied] == [3, 1]
        assert [(row["id"], row["field"]) for row in record.test or ()] == [("2", "gender"), ("2", "drop")]
        found, record = done(tmp_path, samples, *fixes, test=True)
        assert found.labels[:, 1].tolist() == [1] * 6
        assert [row["num_images"] for row in record.applied] == [3, 3, 2]
        assert record.test is None

    def test_csv_says_what_yaml_says(self, tmp_path: Path) -> None:
        path = tmp_path / "fixes.csv"
        path.write_text(
            "id,path,field,from,to,both,reason,source,tier\n"
            "000020,,mask,incorrect,not_worn,true,r,s,strong\n"
            ",images/1_x,drop,,,,r,s,weak\n"
        )
        yaml = write(
            tmp_path,
            entry(id="000020", field="mask", both=True, **{"from": "incorrect", "to": "not_worn"}),
            entry(id=None, path="images/1_x", field="drop", tier="weak", **{"from": None, "to": None}),
        )
        assert [row for _, row in read_corrections(path)] == [row for _, row in read_corrections(Path(yaml))]


class TestWhatDoesNotMatch:
    @pytest.mark.parametrize(
        ("changes", "line"),
        [
            ({"from": "female", "to": "male"}, "gender of id '1' must be 'female', found 'male'"),
            ({"id": "12345"}, "the data has no id '12345'"),
            ({"id": None, "path": "images/1_y"}, "the data has no path 'images/1_y'; did you mean"),
            ({"field": "gendr"}, "field 'gendr' is no task; did you mean 'gender'?"),
            ({"to": "femal"}, "gender: unknown class 'femal'; did you mean 'female'"),
            ({"from": "mal"}, "gender: unknown class 'mal'; did you mean 'male'"),
            ({"field": "age", "from": "30", "to": "29"}, "age of id '1' must be '30', found 40"),
            ({"field": "age", "from": "<30", "to": "40", "both": True}, "age: '<30' is"),
            ({"field": "age", "from": "40", "to": "old"}, "age: unknown class 'old'"),
            (
                {"field": "age", "from": "40", "to": "nan"},
                "age: unknown class 'nan'; it can be <30, 30-60, >=60, a number",
            ),
            ({"field": "age", "from": "40", "to": ">=nan"}, "age: unknown class '>=nan'; it can be"),
            ({"field": "age", "from": "40", "to": "<nan"}, "age: unknown class '<nan'"),
            ({"field": "age", "from": "40", "to": "inf"}, "age: unknown class 'inf'"),
            ({"field": "age", "from": "40", "to": "-inf"}, "age: unknown class '-inf'"),
            ({"field": "age", "from": "40", "to": ">=1e999"}, "age: unknown class '>=1e999'"),
            ({"field": "age", "from": "40", "to": "1_0"}, "age: unknown class '1_0'"),
            ({"field": "age", "from": ">=nan", "to": "20"}, "age: unknown class '>=nan'"),
            ({"field": "age", "from": "40", "to": "70-60"}, "age: a range must rise, found '70-60'"),
            ({"field": "age", "from": "40", "to": "<60"}, "age: '<60' is not inside one of <30, 30-60, >=60"),
        ],
    )
    def test_is_an_error_that_names_it(self, tmp_path: Path, changes: dict[str, Any], line: str) -> None:
        if changes.get("both"):  # a range of one class is a good target
            samples, _ = done(tmp_path, people("1"), entry(**changes))
            assert set(samples.labels[:, 2]) == {0}
            return
        assert refused(tmp_path, people("1", "22"), entry(**changes)).startswith(f"corrections.0: {line}")

    def test_a_number_that_the_task_cannot_have(self, tmp_path: Path) -> None:
        space = LabelSpace([Task("age", ("young", "old"), "binned", (30.0,), 0.0, 120.0)])
        samples = Samples.from_values(space, Path("/"), ["a.jpg"], ["a"], {"age": [45]}, "test")
        for number in ("-1", "999", "100-130"):
            fix = entry(id=None, path="a.jpg", field="age", **{"from": "45", "to": number})
            assert refused(tmp_path, samples, fix).startswith("corrections.0: age: must be at ")

    def test_one_of_several_is_named_by_its_place(self, tmp_path: Path) -> None:
        fixes = [entry(), entry(id="2", **{"from": "female", "to": "male"})]
        assert refused(tmp_path, people("1", "2"), *fixes).startswith("corrections.1: gender of id '2' must be")

    def test_a_label_is_not_corrected_twice(self, tmp_path: Path) -> None:
        line = refused(tmp_path, people("1"), entry(), entry(id=None, path="images/1_x/normal.jpg"))
        assert line == "corrections.1: gender of 'images/1_x/normal.jpg' is corrected by another one too"

    def test_an_id_of_two_people_is_nobody(self, tmp_path: Path) -> None:
        samples = people("1", "2")
        samples = replace(samples, ids=np.full(6, "003397", dtype=object))
        line = refused(tmp_path, samples, entry(id="003397"))
        assert line == "corrections.0: id '003397': is of 2 groups, 1_x and 2_x; name a path"

    def test_where_there_are_no_ids_a_path_is_asked_for(self, tmp_path: Path) -> None:
        line = refused(tmp_path, replace(people("1"), ids=None), entry())
        assert line == "corrections.0: id '1': the data has no ids; name a path"

    def test_people_whom_a_part_of_the_data_lacks_may_be_passed_over(self, tmp_path: Path) -> None:
        fixes = [entry(id="404"), entry(field="race"), entry()]
        samples, record = done(tmp_path, people("1"), *fixes, missing="ignore")
        assert set(samples.labels[:, 1]) == {1}
        assert [len(record.applied), len(record.absent)] == [1, 2]
        # but not a label that is another one
        wrong = entry(**{"from": "female", "to": "male"})
        assert "must be 'female'" in refused(tmp_path, people("1"), wrong, missing="ignore")

    def test_a_class_that_cannot_occur_is_not_made(self, tmp_path: Path) -> None:
        samples = people("1")
        space = LabelSpace(SPACE.tasks, [{"mask": "wear", "gender": "female"}])
        with pytest.raises(UserError, match=r"mask1\.jpg: is labelled 'wear/female/30-60', which labels\.impossible"):
            done(tmp_path, replace(samples, space=space), entry())

    def test_all_images_dropped(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"^data\.corrections: drop every image$"):
            done(tmp_path, people("1"), entry(field="drop", **{"from": None, "to": None}))


class TestFiles:
    @pytest.mark.parametrize(
        ("changes", "line"),
        [
            ({"path": "images/1_x"}, "corrections.0.path: must be given, or id, and not both"),
            ({"id": None}, "corrections.0.path: must be given, or id, and not both"),
            ({"to": None}, "corrections.0: from: must be given, and to, unless field is drop"),
            ({"to": "male"}, "corrections.0.to: is what from is, 'male'"),
            ({"field": "drop"}, "corrections.0.field: drop takes images out; from and to would be ignored"),
            ({"tier": "sure"}, "corrections.0.tier: input should be 'strong', 'medium', 'weak' or 'contested'"),
            ({"reason": None}, "corrections.0.reason: field required"),
            ({"form": "male"}, "corrections.0.form: unknown key; did you mean 'from'?"),
        ],
    )
    def test_malformed(self, tmp_path: Path, changes: dict[str, Any], line: str) -> None:
        assert refused(tmp_path, people("1"), entry(**changes)).lower().startswith(line.lower())

    def test_csv_is_named_with_its_line(self, tmp_path: Path) -> None:
        path = tmp_path / "f.csv"
        header = "id,field,from,to,reason,source,tier"
        for text, line in (
            (f"{header}\n1,gender,male,female,r,s,sure\n", f"{path}, line 2: tier: input should be"),
            (f"{header},both\n1,gender,male,female,r,s,weak,yes\n", f"{path}, line 2: both must be true or false"),
            ("id,field,from,to,reason,source\n", f"{path}: has no column 'tier'"),
            (f"{header.removeprefix('id,')}\ngender,male,female,r,s,weak\n", f"{path}: has no column 'path' and no"),
        ):
            path.write_text(text)
            with pytest.raises(UserError) as caught:
                read_corrections(path)
            assert str(caught.value).startswith(line)

    def test_neither_yaml_nor_csv_or_not_there(self, tmp_path: Path) -> None:
        for name, line in (("f.txt", "must end in .yaml, .yml or .csv"), ("f.yaml", "no such file")):
            with pytest.raises(UserError, match=line):
                read_corrections(tmp_path / name)

    @pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
    def test_shipped_ones_fit_people_of_that_kind(self, path: Path) -> None:
        rows = [row for _, row in read_corrections(path)]
        assert rows
        wrong = {row.from_ for row in rows if row.field == "gender" and not row.both}
        assert wrong == {"male", "female"}
        # Each alone, on two people of whom one is as the file says.
        for row in rows:
            assert row.id is not None
            gender = row.from_ if row.field == "gender" and row.from_ else "male"
            samples = people(row.id, "other", gender=gender)
            settings = CorrectionsSettings(files=(str(path),), tier="contested", missing="ignore")
            found = correct(samples, settings)
            assert [told["id"] for told in found.record.applied] == [row.id]
            assert len(found.record.absent) == len(rows) - 1
            others = found.samples.groups == "other_x"
            np.testing.assert_array_equal(found.samples.labels[others], samples.labels[3:])
            changed = len(found.samples) == 3 or (found.samples.labels[~others] != samples.labels[:3]).any()
            assert changed

    def test_contested_ones_are_off_unless_asked_for(self) -> None:
        assert CorrectionsSettings(files=("x.yaml",)).tier == "strong"
        assert TIERS[-1] == "contested"


def test_a_missing_label_is_no_class(tmp_path: Path) -> None:
    samples = people("1")
    labels = samples.labels.copy()
    labels[:, 1] = MISSING
    line = refused(tmp_path, replace(samples, labels=labels), entry())
    assert line == "corrections.0: gender of id '1' must be 'male', found nothing"
