from __future__ import annotations

import dataclasses
import io
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from multitask.data.eda import Inspection, inspect
from multitask.data.images import Preprocessing
from multitask.data.samples import Samples
from multitask.data.splits import Split
from multitask.labels import MISSING, LabelSettings, LabelSpace, Task
from multitask.reporting import console
from multitask.reporting.eda import console as eda_console
from multitask.reporting.eda import page as eda_page
from multitask.reporting.eda.page import render_inspection
from multitask.reporting.eda.text import sentences
from tests.browser import at_both_widths, needs_chromium

CREATED = "2026-11-25T10:00:00+00:00"
SETTINGS = {
    "tasks": {
        "shape": {"classes": ["round", "<b>square"]},
        "age": {"kind": "binned", "edges": [30, 60]},
    }
}
SPACE = LabelSettings.model_validate(SETTINGS).space()


def make_samples(root: Path, num: int = 12) -> Samples:
    """Images of blurred noise, two in each of ``num // 2`` groups; each group is 10 years above the last."""
    rng = np.random.default_rng(0)
    images = []
    for index in range(num):
        noise = Image.fromarray(rng.integers(0, 256, (16, 12, 3), dtype=np.uint8)).resize((96, 128))
        images.append(f"image-{index}-of-the-{'longest_' * 4}name.png")
        noise.save(root / images[-1])
    return Samples.from_values(
        SPACE,
        root,
        images,
        [f"group-{index // 2}" for index in range(num)],
        {"shape": ["round"] * num, "age": [20 + 10 * (index // 2) for index in range(num)]},
        "test",
    )


def make(root: Path, *, leak: bool = True, broken: bool = True) -> Inspection:
    samples = make_samples(root)
    if leak:
        shutil.copy(root / samples.images[0], root / samples.images[11])
        Image.open(root / samples.images[2]).resize((60, 80)).save(root / samples.images[4])
    if broken:
        (root / samples.images[7]).write_bytes(b"nothing")
    return inspect(samples, Split(np.arange(8), np.arange(8, 12)), 0)


class Text(HTMLParser):
    """The words of a page's sections, and the addresses of its images."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = {}
        self.images: dict[str, list[str]] = {}
        self._section = "header"
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "section":
            self._section = found["id"]
        if tag == "img":
            self.images.setdefault(self._section, []).append(found["src"])

    def handle_data(self, data):
        self.sections[self._section] = f"{self.sections.get(self._section, '')} {data}"

    def words(self, section: str) -> str:
        return " ".join(self.sections[section].split())


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    return make(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    return make(tmp_path_factory.mktemp("clean"), leak=False, broken=False)


def test_sentences_say_what_whoever_trains_must_know(found, clean):
    assert sentences(found) == [
        "12 images of 6 groups: 8 images of 4 groups train, 4 images of 2 groups validate.",
        "1 image cannot be read: training stops at the first of them.",
        "4 images were found under two groups, in 2 sets of groups.",
        "1 set is on both sides of the split: a leak.",
        "Their labels contradict each other: age.",
        "No group trains round/>=60, <b>square/<30, <b>square/30-60, <b>square/>=60.",
        "3 of 6 classes have no image in any split: <b>square/<30, <b>square/30-60, <b>square/>=60. They count as F1 "
        "0, so that macro-F1 is at most .500. If they cannot occur, labels.impossible should say so: they are then "
        "neither answered nor counted.",
    ]
    assert sentences(clean)[1:3] == ["All of them can be read.", "No image was found under two groups."]


def test_groups_that_pick_the_epoch_are_counted(clean):
    picking = inspect(clean.samples, Split(np.arange(6), np.arange(8, 12), pick=np.arange(6, 8)), 0)
    assert sentences(picking)[0] == (
        "12 images of 6 groups: 6 images of 3 groups train, 4 images of 2 groups validate, "
        "2 images of 1 group pick the epoch."
    )
    assert "pick" in Text(render_inspection(picking, "set", CREATED)).words("classes")


def test_tasks_per_group_are_named_and_who_declared_them(clean):
    tasks = [replace(SPACE.tasks[0], per_group=True), SPACE.tasks[1]]
    declared = replace(clean, samples=replace(clean.samples, space=LabelSpace(tasks)), per_group=("shape", "age"))
    told = "The same in all images of a group: shape (declared), age."
    assert told in sentences(declared)
    assert not any(sentence.startswith("The same in") for sentence in sentences(clean))
    assert told in Text(render_inspection(declared, "set", CREATED)).words("header")


@pytest.mark.parametrize(("places", "told"), [([0], "age of 1 image."), ([0, 3], "age of 2 images.")])
def test_images_without_a_label_are_counted(clean, places, told):
    labels = clean.samples.labels.copy()
    labels[places, 1] = MISSING
    partly = inspect(replace(clean.samples, labels=labels), Split(np.arange(8), np.arange(8, 12)), 0)
    assert f"Not known: {told}" in sentences(partly)
    text = Text(render_inspection(partly, "set", CREATED)).words("classes")
    assert "No image with all labels trains " in " ".join(sentences(partly))  # one without may be of that class
    assert "No image with all labels trains 4 of the classes" in text
    assert "A group counts in every class in which it has an image with all labels. The numbers" in text


@pytest.mark.parametrize(("width", "row"), [(80, r"square-with-round-corners/30-60 +0"), (40, r"square-with-round-c")])
def test_names_of_classes_have_room_before_headings(clean, monkeypatch, width, row):
    space = LabelSpace([Task("shape", ("round", "square-with-round-corners")), SPACE.tasks[1]])
    split = Split(np.arange(6), np.arange(8, 10), test=np.arange(10, 12), pick=np.arange(6, 8))
    written = io.StringIO()
    for module in (eda_console, console):
        monkeypatch.setattr(module, "out", Console(file=written, width=width))
    eda_console.show_inspection(inspect(replace(clean.samples, space=space), split, 0))
    assert re.search(rf"^{row}", written.getvalue(), re.MULTILINE)
    assert all(len(line) <= width for line in written.getvalue().splitlines() if "square-with" in line[:30])


def test_where_no_image_has_all_labels_nothing_is_counted_by_classes(clean, capsys):
    labels = clean.samples.labels.copy()
    labels[::2, 0] = labels[1::2, 1] = MISSING
    partly = inspect(replace(clean.samples, labels=labels), Split(np.arange(8), np.arange(8, 12)), 0)
    eda_console.show_inspection(partly)
    lines = capsys.readouterr().out.splitlines()
    assert "classes" not in lines
    assert {"shape", "age"} <= set(lines)
    text = Text(render_inspection(partly, "set", CREATED))
    for told in (" ".join(lines), text.words("header"), text.words("classes")):
        assert "No group trains" not in told
    for told in (" ".join(sentences(partly)), text.words("classes")):
        assert "No image has all its labels" in told
    assert "Fewest groups" not in text.words("header")
    assert "round/" not in text.words("classes")


def test_the_page_shows_what_was_found_and_escapes_names(found):
    page = render_inspection(found, "a <set>", CREATED)
    assert page == render_inspection(found, "a <set>", CREATED)
    text = Text(page)
    assert "<b>square" not in page
    assert "a <set>" in text.words("header")
    assert "1 set is on both sides" in text.words("header")
    assert "No group trains 4 of the classes" in text.words("classes")
    # class; then groups and images that train and that validate
    assert re.search(r"round/ <30 1 2 0 0 round/ 30-60 3 6 0 0 round/ >=60 0 0 2 4 ", text.words("classes"))
    assert re.search(r"all 4 8 2 4$|all 4 8 2 4 ", text.words("classes"))
    assert "From 20 (2 images) to 70 (2), half below 45." in text.words("numbers")
    copies = text.words("copies")
    assert (
        "Leak: group-0 (train) = group-5 (val) 1 pair of images: 1 the same to the byte. Labels differ: age." in copies
    )
    assert "group-1 (train) = group-2 (train) 1 pair of images: 1 nearly the same" in copies
    assert copies.index("group-5") < copies.index("group-2")
    assert len(text.images["copies"]) == 4
    assert "cannot be read as an image: not an image" in text.words("unreadable")
    assert "PNG RGB 96 × 128 10" in text.words("looks")
    assert len(text.images["samples"]) == 11
    assert len(text.images["means"]) == 1 + 3 + 3


def test_the_page_needs_no_other_file(found):
    page = render_inspection(found, "set", CREATED)
    assert "<script" not in page
    assert all(source.startswith("data:image/jpeg;base64,") for row in Text(page).images.values() for source in row)
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)


def test_a_page_of_a_clean_set_without_numbers(clean):
    clean.samples.numbers[:] = np.nan
    text = Text(render_inspection(clean, "set", CREATED))
    assert "numbers" not in text.sections
    assert text.words("copies").endswith("There is none.")
    assert text.words("unreadable").endswith("There is none.")


def test_a_page_of_images_none_of_which_can_be_read(tmp_path):
    samples = make_samples(tmp_path, 4)
    for path in samples.paths():
        path.write_bytes(b"")
    found = inspect(samples, Split(np.arange(4), np.arange(0)), 0)
    text = Text(render_inspection(found, "set", CREATED))
    assert text.images == {}
    assert "4 images cannot be read" in text.words("header")


def test_the_page_shows_what_the_network_sees(tmp_path):
    found = inspect(make_samples(tmp_path), Split(np.arange(8), np.arange(8, 12)), 0, network=Preprocessing((64, 64)))
    text = Text(render_inspection(found, "data", CREATED))
    assert "25.0% of the height: cut off" in text.sections["framing"]
    assert len(text.images["framing"]) == 2 * 6
    told = "data.fit: crop: 100% of 12 images are cut to become 64 × 64 px (width × height): 0 at the sides, 12 at top"
    assert any(sentence.startswith(told) for sentence in sentences(found))
    fitting = inspect(found.samples, Split(np.arange(8), np.arange(8, 12)), 0, network=Preprocessing((128, 96)))
    assert "All images have the shape of the network's 96 × 128 px (width × height)." in sentences(fitting)


def test_files_that_are_no_images_are_counted(clean):
    found = replace(clean, samples=replace(clean.samples, other_files={".db": 1, ".txt": 1_200}))
    assert sentences(found)[-1] == "1,201 other files beside them are no image: .txt 1,200, .db 1."


def test_long_lists_are_cut_and_say_so(found, monkeypatch):
    monkeypatch.setattr(eda_page, "MOST_LINKED", 1)
    monkeypatch.setattr(eda_page, "_MOST_FAULTS", 0)
    found = dataclasses.replace(found)
    text = Text(render_inspection(found, "set", CREATED))
    assert "1 more sets of groups" in text.words("copies")
    assert "group-2" not in text.words("copies")


def test_the_console_says_the_same(found, monkeypatch):
    written = io.StringIO()
    out = Console(file=written, width=100, highlight=False)
    monkeypatch.setattr(console, "out", out)
    eda_console.show_inspection(found)
    text = written.getvalue()
    for sentence in sentences(found):
        assert sentence in text
    assert re.search(r"^round/30-60 +3 +6 +0 +0$", text, re.M)
    assert "  group-0 (train) = group-5 (val): 1 pair" in text.splitlines()
    assert re.search(r"^  image-7-.*name\.png: cannot be read as an image", text, re.M)


@needs_chromium
def test_a_browser_shows_the_page_legibly_without_errors_or_sideways_scrolling(tmp_path, found):
    watch = """
    const errors = [];
    addEventListener("error", event => errors.push(event.message || event.target.outerHTML.slice(0, 80)), true);
    addEventListener("load", () => parent.postMessage({
      name: location.hash.slice(1), window: document.documentElement.clientWidth,
      page: document.documentElement.scrollWidth,
      broken: [...document.images].filter(image => !image.naturalWidth).length,
      letters: Math.min(...[...document.querySelectorAll("svg text")].map(
        text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)), errors}, "*"));"""
    pages = {"page": render_inspection(found, "set", CREATED)}
    for row in at_both_widths(pages, watch, tmp_path).values():
        assert row["page"] <= row["window"], row
        assert row["letters"] >= 10.9, row
        assert (row["broken"], row["errors"]) == (0, []), row
