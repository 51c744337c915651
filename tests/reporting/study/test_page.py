from __future__ import annotations

import copy
import functools
import hashlib
import os
import re
import subprocess
import sys

import pytest

from tests.browser import at_both_widths, needs_chromium
from tests.parsed_page import Page
from tests.reporting.study.made_study import PARAMS, TASKS, make_study, render_study

SECTIONS = [
    "history",
    "confirmation",
    "learning",
    "importances",
    "slices",
    "parallel",
    "weights",
    "trade-off",
    "trials",
]


def make_nasty():
    """A small study in which every name tries to break the page, and values are of every kind."""
    tasks = ["<script>alert(1)</script>", "a task whose name goes on and on without mercy", "$x_1$ & co"]
    choices = ["<b>", "a&b", "$y$", "x" * 60, None, True, 0.5, "\"q'uote", "日本"]
    params = [
        {**PARAMS[3], "name": "heads.<i>.loss", "choices": choices},
        {**PARAMS[1], "name": "an.extraordinarily_long.path.of_a_setting.that.goes_on.and_on.and_on.lr"},
        {**PARAMS[0], "name": "one_word_that_has_no_place_to_break_at_all_whatever_you_do" * 2},
    ]
    study = make_study(20, tasks, params, epochs=3)
    lr = params[1]["name"]
    study["trials"][0]["params"] = {lr: 0, params[2]["name"]: None, params[0]["name"]: "outside"}
    failed = next(trial for trial in study["trials"] if trial["state"] != "finished")
    failed |= {"state": "failed", "values": None, "failure": "ValueError: <img src=x onerror=alert(1)> " + "y" * 900}
    return study | {"study": "<script>&" + "z" * 80, "base": "a/very_long/" * 12, "sentences": ["<script> & $5$."]}


STUDIES = {
    "usual": make_study,
    "objectives": lambda: make_study(24, num_objectives=3, epochs=4),
    "nasty": make_nasty,
    "heads": lambda: make_study(12, ["a", "b"], epochs=3),
    "five": lambda: make_study(12, list("abcde"), epochs=3),
    "single": lambda: make_study(12, ["mask"], epochs=3),
    "one": lambda: make_study(1),
    "none": lambda: make_study(0),
    "failed": lambda: make_study(4, states=["failed"] * 4, epochs=2),
}


@functools.cache
def full_page(name):
    return render_study(STUDIES[name]())


@pytest.fixture(params=STUDIES)
def rendered(request):
    return full_page(request.param)


def test_page_needs_nothing_outside_itself(rendered):
    assert not re.search(r"https?://", rendered.replace('xmlns="http://www.w3.org/2000/svg"', ""))
    page = Page(rendered)
    assert not page.all("script")
    assert not page.all("link")
    assert "@import" not in rendered
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", rendered))
    for element in page.elements:
        assert not any(name.startswith("on") for name in element["attrs"]), element
        for name in ("src", "href", "xlink:href"):
            assert element["attrs"].get(name, "#").startswith("#"), element


def test_ids_are_unique_and_every_reference_resolves(rendered):
    ids = [element["attrs"]["id"] for element in Page(rendered).elements if "id" in element["attrs"]]
    assert len(ids) == len(set(ids))
    wanted = re.findall(r'(?:url\(#|href="#|aria-labelledby=")([^)"]+)', rendered)
    assert set(wanted) <= set(ids)


def test_plots_and_tables_are_described(rendered):
    page = Page(rendered)
    assert all(plot["attrs"]["role"] == "img" and plot["attrs"]["aria-label"] for plot in page.all("svg"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in cell["attrs"] for cell in page.all("th"))
    scrollers = [each for each in page.all("div") if "scroll" in each["attrs"].get("class", "").split()]
    assert all(each["attrs"].get("tabindex") == "0" and each["attrs"].get("aria-label") for each in scrollers)


def test_nothing_is_printed_that_is_no_number(rendered):
    text = re.sub(r"\(nan\)", "", Page(rendered).one("main")["text"])
    assert "None" not in text
    assert not re.search(r"\bnan\b|\binf\b|\{|\}", text)


@pytest.mark.parametrize(
    ("name", "missing"),
    [("usual", []), ("objectives", []), ("single", ["weights", "trade-off"]), ("none", ["weights"])],
)
def test_sections_stand_in_order_and_are_linked(name, missing):
    page = Page(full_page(name))
    expected = [section for section in SECTIONS if section not in missing]
    assert [section["attrs"]["id"] for section in page.all("section")] == expected
    links = [link["attrs"]["href"] for link in page.all("a") if "nav" in link["inside"]]
    assert links == [f"#{anchor}" for anchor in expected]
    assert len(page.all("h1")) == 1
    assert len(page.all("h2")) == len(expected)


def test_names_are_shown_and_never_run():
    page = Page(full_page("nasty"))
    assert not page.all("script")
    assert not page.all("img")
    assert page.one("h1")["text"].startswith("<script>&zzz")
    assert "heads.<i>.loss" in page.section("slices")
    assert "<img src=x onerror=alert(1)>" in page.section("trials")
    shown = {" ".join(each["text"].split()) for each in page.all("text")}
    assert {"<b>", "a&b", "$y$", "日本"} <= shown


def test_header_says_what_was_sought_and_what_was_found(drawn):
    report = make_study()
    report["trials"][4]["values"], report["best"] = [0.8125], 4
    report["trials"][4]["state"] = "finished"
    report["trials"][0]["values"] = [0.75]
    report |= {"seconds": 7500.0, "epochs": 75, "epochs_full": 100}
    report["counts"] = {"finished": 12, "pruned": 5, "failed": 1, "retried": 2, "running": 1, "waiting": 0}
    page = Page(render_study(report))
    header = " ".join(page.one("header")["text"].split())
    assert "23 November 2026, 10:15 UTC" in header
    assert "maximise joint macro-F1 · sampler tpe · pruner median · seed 0" in header
    assert "base configs/mask18_mini.yaml" in header
    assert page.one("p", class_="lede")["text"].replace("\N{NO-BREAK SPACE}", " ") == " ".join(report["sentences"])
    cards = {}
    for element in page.elements:
        if "dl" in element["inside"] and element["tag"] in ("dt", "dd"):
            if element["tag"] == "dt":
                cards[element["text"]] = []
            else:
                cards[list(cards)[-1]].append(element["text"])
    confirmed = {row["trial"]: f"{row['confirmed']:.3f}"[1:] for row in report["confirmation"]["rows"]}
    assert cards == {
        "Best joint macro-F1": [".812", "trial 4"],
        "Base": [".750", "trial 0"],
        "Winner, confirmed": [confirmed[report["confirmation"]["winner"]], f"base {confirmed[0]}"],
        "Trials finished": ["12", "5 pruned, 1 failed, 2 queued again, 1 running"],
        "Time": ["2 h 5 min", "all trials together"],
        "Epochs saved by pruning": ["25%", "75 of 100 trained"],
    }


def test_with_several_objectives_each_has_its_best_and_its_history(drawn):
    report = make_study(24, num_objectives=2)
    page = Page(render_study(report))
    values = {trial["number"]: trial["values"] for trial in report["trials"] if trial["values"]}
    best = [max(values, key=lambda number: values[number][0]), min(values, key=lambda number: values[number][1])]
    header = " ".join(page.one("header")["text"].split())
    for number, place, name in ((best[0], 0, "joint macro-F1"), (best[1], 1, "mask ECE")):
        score, base = (f"{values[trial][place]:.3f}"[1:] for trial in (number, 0))
        assert f"Best {name} {score} trial {number}; base {base}" in header
    assert f"On the front {len(report['front'])} " in header
    assert "maximise joint macro-F1, minimise mask ECE" in header
    for place in range(2):
        (marks, scores), _ = drawn[f"history-{place}"]
        assert scores.maximize == (place == 0)
        shown = {mark.number: mark.score for mark in marks if mark.score is not None}
        assert shown == {number: found[place] for number, found in values.items()}
        assert [mark.number for mark in marks if mark.best] == report["front"]
    (points, colours), more = drawn["front-0-1"]
    assert {mark.number: [x, y] for mark, x, y in points} == values
    assert colours is None
    assert more["maximize"] == (True, False)
    columns = page.rows("history")[0][1:]
    front = [number for number in report["front"] if number]
    assert columns == ["base (trial 0)", *(f"trial {number}" for number in front)]


def test_every_figure_may_be_missing(drawn):
    report = make_study(12, states=["finished"] * 12)
    for trial in report["trials"]:
        trial |= {"values": [None], "best_score": None, "scores": None, "seconds": None, "history": []}
    report["trials"][1]["values"] = [float("nan")]
    report["trials"][2]["scores"] = {"joint": None, "tasks": dict.fromkeys(TASKS)}
    report["importances"] = dict.fromkeys(report["importances"])
    for row in report["confirmation"]["rows"]:
        row |= dict.fromkeys(("study_score", "confirmed", "luck", "pooled", "pooled_ci"))
        row |= {"runs": [None], "tasks": {}}
    text = Page(render_study(report)).one("main")["text"]
    assert "No trial has a score yet." in text
    assert "ooled" not in text
    assert "None" not in text
    assert "nan" not in text


def test_a_study_that_has_just_begun_says_so():
    page = Page(full_page("none"))
    for anchor, words in (
        ("history", "No trial has a score yet"),
        ("learning", "No trial has finished an epoch"),
        ("importances", "No importances: 0 finished trials are too few"),
        ("slices", "No trial with a score"),
        ("parallel", "No finished trial"),
        ("trade-off", "No finished trial"),
        ("trials", "There are no trials yet"),
    ):
        assert words in page.section(anchor), anchor
    assert not page.all("svg")


def test_a_study_of_failures_gives_their_reasons():
    page = Page(full_page("failed"))
    assert page.section("trials").count("FloatingPointError: the loss is not a number") == 4
    assert "No trial has a score yet" in page.section("history")


def test_nothing_given_is_changed(drawn):
    report = make_study()
    before = copy.deepcopy(report)
    render_study(report)
    assert report == before


def test_a_large_study_makes_a_page_that_a_browser_still_likes():
    params = [PARAMS[place % 6] | {"name": f"{PARAMS[place % 6]['name']}.{place}"} for place in range(20)]
    page = render_study(make_study(200, [f"task {number}" for number in range(8)], params, epochs=12))
    assert len(page) < 5_000_000
    assert page.count('<th scope="row">199</th>') == 1


def test_another_process_gives_the_same_page_without_pyplot():
    code = (
        "import hashlib, sys; sys.path.insert(0, sys.argv[1]); import test_page\n"
        "page = test_page.render_study(test_page.make_study(12))\n"
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
    assert found.stdout.strip() == hashlib.sha256(render_study(make_study(12)).encode()).hexdigest()


@needs_chromium
def test_a_browser_shows_the_page_legibly_without_errors_or_sideways_scrolling(tmp_path):
    watch = """
    const errors = [];
    addEventListener("error", event => errors.push(event.message || event.target.outerHTML.slice(0, 80)), true);
    console.error = (...words) => errors.push(words.join(" "));
    addEventListener("load", () => {
      document.querySelectorAll("details").forEach(each => { each.open = true; });
      const letters = [...document.querySelectorAll("svg text")], outside = [];
      for (const text of letters) {
        const inner = text.getBoundingClientRect(), outer = text.ownerSVGElement.getBoundingClientRect();
        if (inner.left < outer.left - 2 || inner.right > outer.right + 2 || inner.top < outer.top - 2
            || inner.bottom > outer.bottom + 2) outside.push(text.ownerSVGElement.id + ": " + text.textContent);
      }
      parent.postMessage({
        name: location.hash.slice(1), window: document.documentElement.clientWidth,
        page: document.documentElement.scrollWidth, outside,
        letters: Math.min(...letters.map(text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)),
        errors}, "*");
    });"""
    pages = {name: full_page(name) for name in ("usual", "objectives", "nasty", "heads", "five")}
    for (_, width), row in at_both_widths(pages, watch, tmp_path).items():
        assert width - 20 <= row["window"] <= width, row  # a scroll bar may take some of it
        assert row["page"] <= row["window"], row
        assert row["letters"] >= 11, row
        assert row["outside"] == [], row
        assert row["errors"] == [], row
