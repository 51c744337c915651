"""The page of a run: whole, linked and legible, and what its sections say."""

from __future__ import annotations

import base64
import copy
import functools
import hashlib
import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from multitask.reporting.html import CaptionedImage, Mistake
from tests.browser import at_both_widths, needs_chromium
from tests.parsed_page import Page
from tests.reporting.run.made_report import (
    MASK,
    TINY,
    in_folds,
    make_history,
    make_mistakes,
    make_pixels,
    make_report,
    render,
    unlabelled_whole,
)

WIDE = {"species": [f"bird {number}" for number in range(12)], "season": ["spring", "summer", "autumn", "winter", "?"]}

NASTY = {
    "<script>alert(1)</script>": ["a&b", "$x_1$ or $y$", "<script>"],
    "a task whose name goes on and on without mercy": ["x" * 90, "words " * 12 + "end", "\"q'uote"],
}

SECTIONS = [
    "tasks",
    "attribution",
    "rules",
    "promises",
    "learning",
    "joint",
    "distribution",
    "augmented",
    "mistakes",
    "training",
]

SPACES = {"3x2x3": MASK, "12x5": WIDE, "nasty": NASTY}


@functools.cache
def full_page(space):
    return render(SPACES[space])


@pytest.fixture(params=SPACES)
def rendered(request):
    return SPACES[request.param], full_page(request.param)


def test_page_needs_nothing_outside_itself(rendered):
    _, source = rendered
    assert not re.search(r"https?://", source.replace('xmlns="http://www.w3.org/2000/svg"', ""))
    page = Page(source)
    assert not page.all("script")
    assert not page.all("link")
    assert "@import" not in source
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", source))
    for element in page.elements:
        for name in ("src", "href", "xlink:href"):
            assert element["attrs"].get(name, "#").startswith(("#", "data:image/")), element


def test_sections_stand_in_order_and_are_linked(rendered):
    tasks, source = rendered
    page = Page(source)
    expected = [*SECTIONS[:5], *(f"task-{place}" for place in range(len(tasks))), *SECTIONS[5:]]
    assert [section["attrs"]["id"] for section in page.all("section")] == expected
    links = [link["attrs"]["href"] for link in page.all("a") if "nav" in link["inside"]]
    assert links == [f"#{anchor}" for anchor in expected]
    assert len(page.all("h1")) == 1
    assert len(page.all("h2")) == len(expected)


def test_ids_are_unique_and_every_reference_resolves(rendered):
    _, source = rendered
    page = Page(source)
    ids = [element["attrs"]["id"] for element in page.elements if "id" in element["attrs"]]
    assert len(ids) == len(set(ids))
    wanted = re.findall(r'(?:url\(#|href="#|aria-labelledby=")([^)"]+)', source)
    assert set(wanted) <= set(ids)


def test_plots_tables_and_images_are_described(rendered):
    tasks, source = rendered
    page = Page(source)
    drawn = page.all("svg")
    # attribution, risk, scores; losses; reliability, distribution
    assert len(drawn) == 3 + len(tasks) + 2 * (len(tasks) + 1)
    assert all(plot["attrs"]["role"] == "img" and plot["attrs"]["aria-label"] for plot in drawn)
    assert len(page.all("caption")) == len(page.all("table")) == 6 + 2 * (len(tasks) + 1)
    assert all("scope" in cell["attrs"] for cell in page.all("th"))
    assert all(image["attrs"]["alt"] for image in page.all("img"))
    scrollers = [each for each in page.all("div") if "scroll" in each["attrs"].get("class", "").split()]
    assert scrollers
    assert all(each["attrs"].get("tabindex") == "0" and each["attrs"].get("aria-label") for each in scrollers)


def test_names_are_shown_and_never_run():
    page = Page(full_page("nasty"))
    assert not page.all("script")
    assert "<script>alert(1)</script>" in page.one("section", id="task-0")["text"]
    plain = {" ".join(each["text"].split()) for each in page.all("text")}
    assert {"a&b", "$x_1$ or $y$", "<script>"} <= plain
    assert "a&b/" + "x" * 90 in page.section("joint")


def test_reading_and_cards_say_what_the_data_say(undrawn):
    report = make_report(MASK)
    report["joint"]["absent_classes"] = ["wear/male/>=60"]
    report["attribution"] |= {"lost": {"mask": 0.003, "gender": 0.03, "age": 0.08}, "absent": 0.007}
    page = Page(render(MASK, report=report))
    assert page.one("p", class_="lede")["text"] == (
        "Joint macro-F1 .880 (95% .800 to .920) on 350 images of 50 groups. "
        "Of the .120 that it lacks to 1, age accounts for .080, gender for .030, mask for .003, "
        "classes without an image for .007. "
        "One declared class has no image in this split and counts as F1 0: wear/male/>=60."
    )
    assert "wear/male/>=60" in page.section("joint")
    cards = page.one("dl", class_="cards")["text"].split("\n")
    assert {".880", "95%: .800 to .920", "mask macro-F1", "350", "of 50 groups", "2", "of 3"} <= set(cards)


@pytest.mark.parametrize(("tasks", "macro_f1"), [({"mask": MASK["mask"]}, 0.88), (MASK, 1.0)])
def test_what_is_lost_is_shared_only_where_it_is_something_and_of_several_tasks(undrawn, tasks, macro_f1):
    report = make_report(tasks)
    report["joint"] |= {"macro_f1": macro_f1, "absent_classes": []}
    report["attribution"] |= {"macro_f1": macro_f1, "lost": dict.fromkeys(tasks, 1 - macro_f1), "absent": 0.0}
    assert "lacks to 1" not in Page(render(tasks, report=report)).one("p", class_="lede")["text"]


def test_many_absent_classes_are_counted_and_the_first_named(undrawn):
    report = make_report(TINY)
    report["joint"]["absent_classes"] = [f"absent {number}" for number in range(20)]
    text = Page(render(TINY, report=report)).section("joint")
    assert "20 declared classes have no image" in text
    assert "absent 11 and 8 more" in text


def test_task_table_shows_each_tasks_figures_and_the_whole_loss(undrawn):
    page = Page(render(MASK))
    text = page.section("tasks")
    for task, perfect, lost in (("mask", ".900", ".030"), ("gender", ".910", ".050"), ("age", ".920", ".070")):
        assert re.search(rf"{task}\.900\.880\.800 to \.920\.040\{perfect}\{lost}", text), text
    assert "joint.900.880.800 to .920.040–.120" in text


def test_confusion_rows_are_given_and_columns_predicted(undrawn):
    report = make_report(TINY)
    report["tasks"]["gender"]["confusion"] = [[60, 7], [0, 1283]]
    page = Page(render(TINY, report=report))
    text = page.section("task-1")
    assert "predicted givenmalefemaleall male60767 female01,2831,283" in text
    (cell,) = page.all("td", title="given male, predicted female: .104 of 67")
    assert cell["text"] == "7"
    assert cell["attrs"]["class"] == "wrong"
    assert cell["attrs"]["style"] == f"--shade:{(7 / 67) ** 0.6:.2f}"


def test_a_large_matrix_is_drawn_and_its_commonest_confusions_listed(undrawn):
    tasks = {"a": [f"a{number}" for number in range(8)], "b": [f"b{number}" for number in range(8)]}
    report = make_report(tasks)
    report["joint"]["confusion"][5][9] = 44
    page = Page(render(tasks, report=report, mistakes=()))
    joint = page.section("joint")
    assert re.search(r"Commonest confusions.*?share of the given class a0/b5a1/b144", joint)
    assert page.one("svg", id="confusion-joint")
    assert len(page.all("table", class_="matrix wide")) == 2  # the two tasks' own


def test_a_run_that_was_only_evaluated(undrawn):
    report = make_report(TINY) | {"class_distribution": None}
    report["attribution"] |= {"lost": None}
    page = Page(render(TINY, report=report, history=[], augmented=(), mistakes=()))
    assert {section["attrs"]["id"] for section in page.all("section")} >= set(SECTIONS)
    assert "only evaluated" in page.section("learning")
    assert "not attributed" in page.section("attribution")
    assert "not recorded" in page.section("distribution")
    assert "No mistakes" in page.section("mistakes")
    assert not page.all("img")


def test_a_run_without_validation(undrawn):
    history = [row | {"val": None} for row in make_history(TINY)]
    page = Page(render(TINY, history=history))
    assert "No validation during training" in page.section("learning")
    assert [plot["attrs"]["id"] for plot in page.all("svg") if plot["attrs"]["id"].startswith(("score", "loss"))] == [
        "loss-0",
        "loss-1",
    ]


def test_every_metric_may_be_missing():
    report = make_report(TINY)
    for scores in (report["joint"], *report["tasks"].values()):
        for key in ("accuracy", "accuracy_ci", "macro_f1", "macro_f1_ci", "ece"):
            scores[key] = None
    for key in ("perfect", "lost"):
        report["attribution"][key] = dict.fromkeys(TINY)
    report["attribution"] |= {"macro_f1": None, "absent": None}
    report["training"] = {"best_epoch": None, "num_epochs": 0, "seconds": 0.0}
    history = [{"epoch": 1, "lr": None, "best": False, "train": {"loss": float("nan"), "tasks": {}}, "val": None}]
    page = Page(render(TINY, report=report, history=history))
    assert {section["attrs"]["id"] for section in page.all("section")} >= set(SECTIONS)
    assert "none of them has all its labels" in page.one("p", class_="lede")["text"]
    assert "None" not in page.one("main")["text"]
    assert "nan" not in page.one("main")["text"]


def test_the_epoch_whose_weights_were_kept_is_not_called_the_best(undrawn):
    """It is the last one where nothing asks for a score, or where none was ever known."""
    text = Page(render(TINY)).one("main")["text"]
    assert "Epoch kept" in text
    assert "best epoch" not in text.lower()


def test_what_no_image_has_labels_of_has_no_section_table_or_chart(undrawn):
    page = Page(render(TINY, report=unlabelled_whole()))
    sections = {section["attrs"]["id"] for section in page.all("section")}
    assert {"attribution", "joint", f"task-{len(TINY) - 1}"}.isdisjoint(sections)
    assert "task-0" in sections
    assert "less independent" not in page.section("rules")
    assert "no image has all its labels, so that none is scored" in page.section("rules")
    assert "1.00unknown" in page.section("rules")
    assert "If perfect" not in page.section("tasks")
    assert list(TINY)[-1] not in page.section("distribution")
    assert "joint" not in page.section("distribution")
    assert "several frames or pages, of which the first is used, as a.tif." in page.one("p", class_="lede")["text"]


def test_an_interval_may_be_missing(undrawn):
    report = make_report(TINY)
    report["joint"]["macro_f1_ci"] = report["joint"]["accuracy_ci"] = None
    assert "Joint macro-F1 .880 on 350 images" in render(TINY, report=report)


def test_scores_of_the_classes_are_of_the_images_that_have_all_labels(undrawn):
    report = make_report(TINY)
    report["joint"] |= {"num_images": 70, "num_groups": 10}
    page = render(TINY, report=report)
    assert re.search(
        r"Joint macro-F1 \.880 \(95% [^)]+\) on the 70 images of 10 groups that have all their labels\.", page
    )
    rules = Page(page).section("rules")
    assert "50 groups (350 images), and is scored on those of them that have all labels, cross-fitted" in rules
    whole = render(TINY)
    assert "on 350 images of 50 groups." in whole
    assert "and is scored on the same cross-fitted" in Page(whole).section("rules")


def test_mistakes_fall_by_confidence_each_with_its_own_image(undrawn):
    mistakes = make_mistakes(TINY, 4)
    page = Page(render(TINY, mistakes=mistakes, augmented=()))
    shown = page.all("img")
    assert [image["attrs"]["alt"].split(",")[0] for image in shown] == ["3.jpg", "2.jpg", "1.jpg", "0.jpg"]
    for image, mistake in zip(shown, reversed(mistakes), strict=True):
        data = base64.b64decode(image["attrs"]["src"].partition(",")[2])
        pixels = np.asarray(Image.open(io.BytesIO(data)), dtype=float)
        assert pixels.shape == (128, 96, 3)
        assert np.corrcoef(pixels.mean(2).ravel(), mistake.pixels.mean(2).ravel())[0, 1] > 0.8
    emphasised = [each["text"] for each in page.all("em")]
    assert emphasised[:2] == ["wear", "not_wear"]
    assert ".530 sure; wrong: mask group p3 3.jpg" in page.section("mistakes")


def test_a_class_name_that_does_not_split_by_task_is_shown_whole(undrawn):
    mistake = Mistake(make_pixels(0), "i", "g", "a/b/c/d", "one", 0.9, ("mask",))
    page = Page(render(MASK, mistakes=[mistake]))
    assert "a/b/c/d" in page.section("mistakes")
    assert not page.all("em")
    assert "wrong: mask" in page.section("mistakes")


def test_a_group_that_the_path_names_is_not_named_twice(undrawn):
    mistake = Mistake(make_pixels(0), "train/p1/mask.jpg", "p1", "wear/male", "wear/female", 0.9, ("gender",))
    text = Page(render(TINY, mistakes=[mistake])).section("mistakes")
    assert text.count("p1") == 1
    assert "group" not in text


def test_the_reason_stands_where_images_could_not_be_read(undrawn):
    page = Page(render(TINY, augmented=(), mistakes=(), images_missing="data.root: /gone <is> no folder"))
    ids = [section["attrs"]["id"] for section in page.all("section")]
    links = [link["attrs"]["href"] for link in page.all("a") if "nav" in link["inside"]]
    assert links == [f"#{anchor}" for anchor in ids]
    assert ids[-3:] == ["distribution", "images", "training"]
    assert "could not be read" in page.section("images")
    assert page.section("images").endswith("/gone <is> no folder")


def test_a_run_without_mistakes_says_so(undrawn):
    report = make_report(TINY)
    report["joint"]["accuracy"] = 1.0
    for scores in report["tasks"].values():
        scores["accuracy"] = 1.0
    assert "There are none" in Page(render(TINY, report=report, mistakes=())).section("mistakes")
    report["tasks"]["gender"]["accuracy"] = 0.5
    assert "There are none" not in Page(render(TINY, report=report, mistakes=())).section("mistakes")


def test_nothing_given_is_changed(undrawn):
    report, history = make_report(TINY), make_history(TINY)
    before = copy.deepcopy((report, history))
    render(TINY, report=report, history=history)
    assert (report, history) == before


def test_a_full_page_is_below_three_megabytes():
    images = [CaptionedImage(make_pixels(place), "wear") for place in range(24)]  # noise: the worst case for JPEG
    assert len(render(MASK, augmented=images, mistakes=make_mistakes(MASK, 24))) < 3_000_000


def test_another_process_gives_the_same_page_without_pyplot():
    code = (
        "import hashlib, sys; sys.path.insert(0, sys.argv[1]); import test_page\n"
        "page = test_page.render(test_page.TINY)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "print(hashlib.sha256(page.encode()).hexdigest())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, os.path.dirname(__file__)],
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == hashlib.sha256(render(TINY).encode()).hexdigest()


@needs_chromium
def test_a_browser_shows_the_page_legibly_without_errors_or_sideways_scrolling(tmp_path):
    watch = """
    const errors = [];
    addEventListener("error", event => errors.push(event.message || event.target.outerHTML.slice(0, 80)), true);
    console.error = (...words) => errors.push(words.join(" "));
    addEventListener("load", () => parent.postMessage({
      name: location.hash.slice(1), window: document.documentElement.clientWidth,
      page: document.documentElement.scrollWidth, images: document.images.length,
      broken: [...document.images].filter(image => !image.naturalWidth).length,
      letters: Math.min(...[...document.querySelectorAll("svg text")].map(
        text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)),
      gap: Math.min(...[...document.querySelectorAll(".scroll + p, .scroll + .two")].map(next =>
        next.getBoundingClientRect().top - next.previousElementSibling.getBoundingClientRect().bottom)),
      errors}, "*"));"""
    pages = {**{name: full_page(name) for name in SPACES}, "folds": render(MASK, **in_folds(12))}
    for (_, width), row in at_both_widths(pages, watch, tmp_path).items():
        assert width - 20 <= row["window"] <= width, row  # a scroll bar may take some of it
        assert row["page"] <= row["window"], row
        assert row["letters"] >= 11, row
        assert row["gap"] >= 12, row  # of what follows a table
        assert row["images"] == 4, row
        assert row["broken"] == 0, row
        assert row["errors"] == [], row


def test_a_number_stands_where_a_task_is_made_of_one(undrawn):
    report = make_report(MASK)
    assert "mean error" not in Page(render(MASK, report=report)).section("tasks")
    report["tasks"]["age"]["number"] = {"num_images": 340, "mae": 8.312, "mae_ci": [7.5, 9.25], "bias": -0.521}
    page = Page(render(MASK, report=report))
    tasks = page.section("tasks")
    assert "number’s mean error" in tasks
    assert tasks.count("8.31 (95% 7.50 to 9.25)") == 1
    words = page.section("task-2")
    assert "is 8.31 (95% 7.50 to 9.25) off, and 0.521 too low in the mean, on the 340 images" in words
    assert "off, and" not in page.section("task-0")
