"""What the rest relies on, whatever the layout: the same people in every source's own layout, read alike."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from multitask.data.samples import Samples
from multitask.data.sources import (
    SOURCES,
    CompetitionSettings,
    FoldersSettings,
    SeveralSettings,
    SourceSettings,
    SyntheticSettings,
    TableSettings,
    WebDatasetSettings,
)
from multitask.data.sources.several import PartSettings
from multitask.data.sources.table_settings import ColumnSettings
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace, Task
from multitask.testing import check_source
from multitask.utils.tar_files import read_member
from tests.data.made_shards import write_shard

SPACE = LabelSpace(
    [
        Task("mask", ("wear", "incorrect", "not_worn")),
        Task("gender", ("male", "female")),
        Task("age", ("<30", "30-60", ">=60"), "binned", (30.0, 60.0)),
    ]
)


def write_table(path: Path, samples: Samples) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "person", *SPACE.task_names])
        for row, image in enumerate(samples.images):
            names = [task.classes[label] for task, label in zip(SPACE.tasks, samples.labels[row], strict=True)]
            age = samples.numbers[row, 2]
            names[2] = f"{[20, 40, 70][samples.labels[row, 2]] if np.isnan(age) else age:g}"
            writer.writerow([image, samples.groups[row], *names])


def as_table(drawn: Path, root: Path) -> TableSettings:
    shutil.copytree(drawn, root)
    write_table(root / "train.csv", CompetitionSettings().samples(root, SPACE))
    write_table(root / "queries.csv", CompetitionSettings().answered(root, SPACE))
    return TableSettings(group="person")


def as_folders(drawn: Path, root: Path) -> FoldersSettings:
    for folder, samples in (
        ("train", CompetitionSettings().samples(drawn, SPACE)),
        ("eval", CompetitionSettings().answered(drawn, SPACE)),
    ):
        for path, group, labels in zip(samples.paths(), samples.groups, samples.labels, strict=True):
            mask, gender = (task.classes[label] for task, label in zip(SPACE.tasks, labels[:2], strict=False))
            place = root / folder / f"{gender}-{(20, 40, 70)[labels[2]]}" / group / mask
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place / path.name)
    return FoldersSettings(pattern="{gender}-{age}/{group}/{mask}")


def as_webdataset(drawn: Path, root: Path) -> WebDatasetSettings:
    root.mkdir()
    for name, samples in (
        ("train", CompetitionSettings().samples(drawn, SPACE)),
        ("query", CompetitionSettings().answered(drawn, SPACE)),
    ):
        rows = zip(samples.paths(), samples.groups, samples.labels, strict=True)
        members: dict[str, bytes] = {}
        for number, (path, group, labels) in enumerate(rows):
            mask, gender = (task.classes[label] for task, label in zip(SPACE.tasks, labels[:2], strict=False))
            said = {"mask": mask, "gender": gender, "years": (20, 40, 70)[labels[2]]}
            members |= {
                f"{group}/{number}{path.suffix}": path.read_bytes(),
                f"{group}/{number}.json": json.dumps(said).encode(),
            }
        half = len(members) // 4 * 2
        for part, names in enumerate((list(members)[:half], list(members)[half:])):
            write_shard(root / f"{name}-{part}.tar", {member: members[member] for member in names})
    return WebDatasetSettings(
        shards="train-{0..1}.tar", key="{who}/{_}", group="who", tasks={"age": ColumnSettings(column="years")}
    )


def content(path: Path) -> bytes:
    member = read_member(path)
    return path.read_bytes() if member is None else member


def as_several(drawn: Path, root: Path) -> SeveralSettings:
    table = as_table(drawn, root / "one")
    lines = (root / "one" / "train.csv").read_text().splitlines(keepends=True)
    (root / "one" / "train.csv").write_text("".join(lines[: 1 + 5 * 7]))
    folders = as_folders(drawn, root / "two")
    kept = set(CompetitionSettings().samples(drawn, SPACE).groups[5 * 7 :])
    for path in (root / "two" / "train").glob("*/*"):
        if path.name not in kept:
            shutil.rmtree(path)
    return SeveralSettings(
        sources={
            "first": PartSettings(root=str(root / "one"), source=table),
            "second": PartSettings(root=str(root / "two"), source=folders),
        }
    )


def as_it_is(settings: type[SourceSettings]) -> Callable[[Path, Path], SourceSettings]:
    def make(drawn: Path, root: Path) -> SourceSettings:
        shutil.copytree(drawn, root)
        return settings()  # type: ignore[call-arg]

    return make


LAYOUTS: dict[str, Callable[[Path, Path], SourceSettings]] = {
    "competition": as_it_is(CompetitionSettings),
    "synthetic": as_it_is(SyntheticSettings),
    "table": as_table,
    "folders": as_folders,
    "webdataset": as_webdataset,
    "several": as_several,
}


def as_layout(name: str, drawn: Path, root: Path) -> SourceSettings:
    assert name in LAYOUTS, f"LAYOUTS, above, must say how the drawn set is written for the source {name!r}"
    return LAYOUTS[name](drawn, root)


@pytest.mark.parametrize("name", SOURCES)
def test_reads_the_drawn_set_and_its_answers(name: str, drawn: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    source = as_layout(name, drawn, root)
    source.check(SPACE)
    samples = source.samples(root, SPACE)
    assert len(samples) == 12 * 7
    assert samples.num_groups == 12
    assert set(Counter(samples.groups).values()) == {7}
    assert len(set(samples.images)) == len(samples)
    assert set(samples.sources) == ({"first", "second"} if name == "several" else {name})
    assert (samples.classes != MISSING).all()
    assert not np.isnan(samples.numbers[:, 2]).any()
    assert all(map(content, samples.paths()))
    # The same labels of the same images as the competition's source finds.
    truth = CompetitionSettings().samples(drawn, SPACE)

    def told(which: Samples) -> Counter[tuple[bytes, int]]:
        rows = zip(which.paths(), which.classes, strict=True)
        return Counter((content(path), int(index)) for path, index in rows)

    assert told(samples) == told(truth)
    queried = root / "one" if name == "several" else root
    queries = source.queries(queried)
    answered = source.answered(root, SPACE)
    assert list(answered.paths()) == list(queries.paths)
    assert len(queries.ids) == len(set(queries.ids)) == 21
    assert answered.num_groups == 3
    assert Counter(answered.labels[:, 0]) == {0: 15, 1: 3, 2: 3}
    header, *rows = queries.table(np.arange(21) % 18, SPACE)
    assert len(rows) == 21
    assert {len(row) for row in rows} == {len(header)}
    assert [row[0] for row in rows] == list(queries.ids)


@pytest.mark.parametrize("name", SOURCES)
def test_keeps_the_contract(name: str, drawn: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    source = as_layout(name, drawn, root)
    check_source(source, root / "one" if name == "several" else root, SPACE)


@pytest.mark.parametrize("name", SOURCES)
def test_an_empty_folder_is_an_error_in_one_line(name: str, drawn: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    source = as_layout(name, drawn, root)
    shutil.rmtree(root)
    root.mkdir()
    for look in (lambda: source.samples(root, SPACE), lambda: source.queries(root)):
        with pytest.raises(UserError, match=str(root)) as caught:
            look()
        assert "\n" not in str(caught.value)
