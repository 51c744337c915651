from __future__ import annotations

import base64
import copy
import functools
import hashlib
import io
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multitask.evaluation.report_schema import RunReport
from multitask.progress import EpochRecord
from multitask.reporting.html import CaptionedImage, Mistake
from multitask.reporting.run import curves as learning
from multitask.reporting.run import plots
from multitask.reporting.run.page import render_report
from multitask.utils.records import from_data, parse_record
from tests.browser import at_both_widths, needs_chromium
from tests.parsed_page import Page

MASK = {"mask": ["wear", "incorrect", "not_wear"], "gender": ["male", "female"], "age": ["<30", "30-59", ">=60"]}
WIDE = {"species": [f"bird {number}" for number in range(12)], "season": ["spring", "summer", "autumn", "winter", "?"]}
TINY = {"mask": ["wear", "not_wear"], "gender": ["male", "female"]}
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


def make_scores(rng, names, num_images):
    size = len(names)
    matrix = np.diag(rng.multinomial(num_images - size, np.full(size, 1 / size)))
    matrix[np.arange(size), (np.arange(size) + 1) % size] += 1
    bins = [
        {"low": low / 15, "high": (low + 1) / 15, "count": low, "confidence": (low + 0.5) / 15, "accuracy": low / 15}
        for low in range(15)
    ]
    bins[0] |= {"confidence": None, "accuracy": None}
    return {
        "num_images": num_images,
        "num_groups": 50,
        "accuracy": 0.9,
        "accuracy_ci": [0.86, 0.93],
        "macro_f1": 0.88,
        "macro_f1_ci": [0.8, 0.92],
        "ece": 0.04,
        "absent_classes": [],
        "classes": [
            {"name": name, "support": int(count), "precision": 0.9, "recall": 0.8, "f1": 0.85}
            for name, count in zip(names, matrix.sum(1), strict=True)
        ],
        "confusion": matrix.tolist(),
        "reliability": bins,
    }


def make_rule(name, value, gap, in_sample):
    return {
        "name": name,
        "macro_f1": value,
        "macro_f1_ci": [value - 0.07, value + 0.05],
        "difference": None if gap is None else value - 0.88,
        "difference_ci": gap,
        "beyond_noise": None if gap is None else gap[0] > 0 or gap[1] < 0,
        "in_sample": in_sample,
    }


def make_promises(tasks):
    names = [*tasks, "joint"]
    measured = {"observed": 0.91, "observed_ci": [0.88, 0.94], "mean_size": 1.25, "mean_size_ci": [1.2, 1.3]}
    sets = [{"coverage": 0.9, **measured, "singles": 0.75, "num_own": 2}, {"coverage": 0.95, "num_own": 0}]
    points = [{"answered": step / 20, "error": step / 100} for step in range(1, 21)]
    at = [
        {"max_risk": 0.01, "answered": 0.0, "error": None, "error_ci": None},
        {"max_risk": 0.1, "answered": 0.65, "error": 0.04, "error_ci": [0.02, 0.06]},
    ]
    curves = {name: {"aurc": 0.1 + place / 100, "points": points} for place, name in enumerate(names)}
    return {"sets": dict.fromkeys(names, sets), "selective": {"curves": curves, "at": at}}


def make_report(tasks, num_images=350):
    rng = np.random.default_rng(0)
    names = ["/".join(parts) for parts in itertools.product(*tasks.values())]
    split = {
        "num_images": num_images,
        "num_groups": 50,
        "joint": list(range(len(names))),
        "tasks": {task: list(range(len(labels))) for task, labels in tasks.items()},
    }
    return {
        "run": "demo-1",
        "split": "val",
        "created": "2026-11-23T10:15:00+00:00",
        "num_images": num_images,
        "num_groups": 50,
        "decode": {"name": "independent"},
        "joint": make_scores(rng, names, num_images),
        "tasks": {task: make_scores(rng, labels, num_images) for task, labels in tasks.items()},
        "attribution": {
            "macro_f1": 0.88,
            "perfect": {task: 0.9 + 0.01 * place for place, task in enumerate(tasks)},
            "lost": {task: 0.03 + 0.02 * place for place, task in enumerate(tasks)},
            "absent": 0.0,
        },
        "decode_rules": {
            "used": "independent",
            "picked": "expected_f1",
            "sentence": "expected_f1 has the best cross-fitted score; used is independent, which the config names",
            "note": "",
            "cross_fitted": True,
            "num_folds": 5,
            "fitted_on": {"num_groups": 50, "num_images": num_images},
            "temperatures": dict(zip(tasks, (0.5, 1.0, 2.25), strict=False)),
            "rules": [
                make_rule("independent", 0.88, None, None),
                make_rule("expected_f1", 0.91, [0.01, 0.05], 0.92),
                make_rule("class_bias", 0.86, [-0.06, 0.02], 0.95),
            ],
        },
        "joint_term": {
            "heads_only": 0.87,
            "heads_only_ci": [0.8, 0.9],
            "with_term": 0.88,
            "with_term_ci": [0.81, 0.91],
            "difference": 0.01,
            "difference_ci": [-0.01, 0.03],
            "beyond_noise": False,
            "sentence": "The joint term is not shown to be needed.",
        },
        **make_promises(tasks),
        "class_distribution": {"train": split, "val": split},
        "training": {
            "best_epoch": 2,
            "num_epochs": 3,
            "monitor": "joint.macro_f1",
            "seconds": 81.0,
            "seed": 0,
            "backbone": "mobilenetv2_100",
            "num_parameters": 2300000,
            "device": "cpu",
            "sharing": "shared",
        },
    }


def make_history(tasks, heads=None, num_epochs=3):
    heads = heads or list(tasks)
    rows = []
    for epoch in range(1, num_epochs + 1):
        val = {head: {"loss": 1.1 / epoch} for head in heads}
        for task in tasks:
            val.setdefault(task, {}).update(macro_f1=min(1.0, 0.3 * epoch), accuracy=min(1.0, 0.3 * epoch))
        rows.append(
            {
                "epoch": epoch,
                "lr": 1e-3,
                "seconds": 8.1,
                "images_per_s": 210.0,
                "best": epoch == 2,
                "train": {"loss": 2 / epoch, "tasks": {head: {"loss": 1 / epoch} for head in heads}},
                "val": {
                    "loss": 2.2 / epoch,
                    "joint": {"macro_f1": min(1.0, 0.25 * epoch), "accuracy": min(1.0, 0.26 * epoch)},
                    "tasks": val,
                },
            }
        )
    return rows


def make_pixels(number):
    return np.random.default_rng(number).integers(0, 256, (128, 96, 3), dtype=np.uint8)


def make_mistakes(tasks, number=3):
    first, last = ("/".join(labels[place] for labels in tasks.values()) for place in (0, -1))
    return [
        Mistake(make_pixels(place), f"{place}.jpg", f"p{place}", first, last, 0.5 + place / 100, tuple(tasks)[:1])
        for place in range(number)
    ]


def render(tasks, **changes):
    arguments = {
        "report": make_report(tasks),
        "history": make_history(tasks),
        "augmented": [CaptionedImage(make_pixels(9), "wear <b>")],
        "mistakes": make_mistakes(tasks),
    } | changes
    report, history = arguments.pop("report"), arguments.pop("history")
    if isinstance(report, dict):
        report = parse_record(json.dumps(report), RunReport, Path("report.json"))
    arguments["fold_histories"] = [records(rows) for rows in arguments.get("fold_histories", ())]
    return render_report(report, records(history), **arguments)


def records(rows):
    return [from_data(row, EpochRecord) for row in rows]


SPACES = {"3x2x3": MASK, "12x5": WIDE, "nasty": NASTY}


@functools.cache
def full_page(space):
    return render(SPACES[space])


@pytest.fixture(params=SPACES)
def rendered(request):
    return SPACES[request.param], full_page(request.param)


@pytest.fixture
def undrawn(monkeypatch):
    """Leaves the plots out, for the tests of words and tables: they take nearly all of a page's time."""
    names = {plots: ("attribution", "confusion", "distribution", "reliability"), learning: ("learning_curves",)}
    for module, name in ((module, name) for module, found in names.items() for name in found):
        monkeypatch.setattr(module, name, lambda *_, key, label, **__: f'<svg id="{key}"></svg>')


@pytest.fixture
def curves(monkeypatch, undrawn):
    """Per learning curve that the page asked for: its epochs, each line's values and each line's stroke."""
    drawn = {}

    def draw(epochs, lines, *, key, **_):
        values, strokes = {line.name: line.values for line in lines}, {line.name: line.stroke for line in lines}
        drawn[key] = (list(epochs), values, strokes)
        return f'<svg id="{key}"></svg>'

    monkeypatch.setattr(learning, "learning_curves", draw)
    return drawn


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


def in_folds(num_folds, tasks=MASK):
    """What is given to the page of a run in folds, with classes that were never trained on."""
    report = make_report(tasks)
    report["folds"] = [
        {
            "fold": index,
            "num_groups": 10 + index,
            "num_images": 1070 + index,
            "macro_f1": 0.5 + index / 100,
            "tasks": dict.fromkeys(tasks, 0.6 + index / 100),
            "best_epoch": index + 1,
            "num_epochs": index + 2,
        }
        for index in range(num_folds)
    ]
    report["training"] |= {"num_folds": num_folds, "best_epoch": None}
    report["unseen"] = {
        "num_images": 12,
        "num_groups": 1,
        "classes": report["joint"]["classes"][3:5],
        "macro_f1": 0.25,
        "macro_f1_ci": [0.1, 0.4],
        "seen_macro_f1": 0.75,
        "seen_macro_f1_ci": None,
    }
    histories = [make_history(tasks, num_epochs=index + 2) for index in range(num_folds)]
    return {"report": report, "history": [], "fold_histories": histories}


def test_folds_have_a_row_and_a_curve_each(curves):
    page = Page(render(MASK, **in_folds(2)))
    text = page.section("folds")
    assert "0101,070.500.600.600.6001 of 2 1111,071.510.610.610.6102 of 3" in text
    epochs, values, _ = curves["folds"]
    assert epochs == [1, 2, 3]
    assert values == {"fold 0": (0.25, 0.5, None), "fold 1": (0.25, 0.5, 0.75)}
    assert "Each fold has learning curves of its own" in page.section("learning")
    assert "Folds2" in page.section("training").replace(" ", "")
    links = [link["attrs"]["href"] for link in page.all("a") if "nav" in link["inside"]]
    assert links[1:7] == ["#attribution", "#rules", "#promises", "#folds", "#unseen", "#learning"]
    assert [section["attrs"]["id"] for section in page.all("section")][1:6] == [link[1:] for link in links[1:6]]


def test_answers_to_groups_have_a_section_where_there_are_any(undrawn):
    report = make_report(MASK)
    labelling = {"scores": report["joint"], "accuracy_difference": 0.024, "accuracy_difference_ci": [-0.002, 0.05]}
    report["grouped"] = {
        "per_group": ["gender", "age"],
        "declared": [],
        "num_groups": 50,
        "pooling": "log_pool",
        "sentence": "log_pool has the best score",
        "decode": "joint",
        "cross_fitted": True,
        "joint": labelling,
        "tasks": {task: {**labelling, "scores": report["tasks"][task]} for task in MASK},
    }
    page = Page(render(MASK, report=report))
    text = page.section("groups")
    assert "Pooling: log_pool has the best score." in text
    assert "+.024−.002 to +.050" in text
    assert "age per group" in text
    assert "mask per group" not in text
    assert "#groups" in [link["attrs"]["href"] for link in page.all("a")]
    assert 'id="groups"' not in render(MASK)


def test_classes_never_trained_on_are_scored_beside_the_others(undrawn):
    given = in_folds(2)
    text = Page(render(MASK, **given)).section("unseen")
    assert "2 classes had no image to train on; here 12 images of 1 group belong to them." in text
    assert "never trained on.250.100 to .400" in text
    assert "trained on.750–" in text
    assert "wear/female/<30.900.800.850" in text
    given["report"]["unseen"] |= {"num_images": 0, "macro_f1": None, "macro_f1_ci": None}
    text = Page(render(MASK, **given)).section("unseen")
    assert "So there is no score of what was never trained on." in text
    assert "never trained on––" in text


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


def test_decode_rules_stand_side_by_side_and_the_used_one_is_marked(undrawn):
    section = Page(render(TINY)).section("rules")
    assert "expected_f1 has the best cross-fitted score; used is independent, which the config names." in section
    rows = section.replace(" ", "")  # cells stand side by side, whatever is between them
    assert "independenteachhead’smostprobablelabel.880.810to.930–––used" in rows
    assert "expected_f1promisesthebestmacro-F1.910.840to.960+.030+.010to+.050.920picked" in rows
    assert "class_biasatunedbiasforeachclass.860.790to.910−.020−.060to+.020.950" in rows
    assert "cross-fitted" in section
    assert "mask0.50notsureenoughgender1.00assureasright" in rows
    assert "The joint term is not shown to be needed." in section
    assert "has a joint macro-F1 of .870, with the joint term .880" in section


def test_rules_that_were_fitted_before_are_said_to_be(undrawn):
    report = make_report(TINY)
    report["decode_rules"] |= {"cross_fitted": False}
    for row in report["decode_rules"]["rules"]:
        row["in_sample"] = None
    section = Page(render(TINY, report=report | {"joint_term": None})).section("rules")
    assert "were fitted on the run’s validating 50 groups (350 images)" in section
    assert "in sample" not in section.lower()
    assert "joint term" not in section


def test_a_report_from_before_there_were_rules_has_no_such_section(undrawn):
    report = make_report(TINY)
    for missing in ({"decode_rules": None}, {}):
        old = {key: value for key, value in report.items() if key not in ("decode_rules", "joint_term")} | missing
        assert not Page(render(TINY, report=old)).all("section", id="rules")


def test_sets_and_asking_have_rows_a_curve_and_the_places_where_nothing_is_known(undrawn):
    page = Page(render(MASK))
    rows = page.rows("promises")
    assert rows[1] == ["mask", ".90", ".910", ".880 to .940", "1.25 (1.20 to 1.30)", ".750", "2 of 3 labels"]
    assert rows[2] == ["mask", ".95", "–", "–", "–", "–", "0 of 3 labels"]
    assert [row[0] for row in rows[1:9:2]] == ["mask", "gender", "age", "joint"]
    assert rows[10:] == [[".01", ".000", "–", "–"], [".10", ".650", ".040", ".020 to .060"]]
    text = page.section("promises")
    assert "Each group’s sets are calibrated by other groups of this split" in text
    assert "A dash: too few groups calibrate such sets." in text
    assert "with a probability of .90 the error among the answered is at most the risk" in text
    assert "(AURC) is the mean error over all shares: joint .130, mask .100, gender .110, age .120." in text
    report = make_report(MASK)
    report["decode_rules"]["cross_fitted"] = False
    assert "calibrated by the groups that validated the run" in Page(render(MASK, report=report)).section("promises")


def test_adaptive_sets_stand_below_the_others(undrawn):
    report = make_report(MASK)
    assert "--sets aps" not in Page(render(MASK, report=report)).section("promises")
    measured = {"observed": 0.92, "observed_ci": [0.89, 0.95], "mean_size": 1.5, "mean_size_ci": [1.4, 1.6]}
    report["adaptive_sets"] = {"age": [{"coverage": 0.9, **measured, "singles": 0.5, "num_own": 3}]}
    page = Page(render(MASK, report=report))
    row = ["age", ".90", ".920", ".890 to .950", "1.50 (1.40 to 1.60)", ".500", "3 of 3 labels"]
    assert page.rows("promises").index(row) == 10
    assert "predict --sets aps" in page.section("promises")


def test_a_report_from_before_there_were_sets_has_no_such_section(undrawn):
    report = make_report(MASK)
    del report["sets"], report["selective"]
    assert not Page(render(MASK, report=report)).all("section", id="promises")


def test_without_calibration_the_curve_stands_alone(undrawn):
    report = make_report(MASK)
    report["selective"]["at"] = []
    page = Page(render(MASK, report=report))
    assert "Answering at a named risk" not in page.section("promises")


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


def test_one_head_for_all_classes_is_held_against_the_loss_of_the_class(curves):
    history = make_history(TINY, heads=["class"])
    for row in history:
        del row["val"]["tasks"]["class"]  # on validation every answer is read by task
        for task, loss in (("mask", 0.5), ("gender", 0.25)):
            row["val"]["tasks"][task]["loss"] = loss
    text = Page(render(TINY, history=history)).section("learning")
    assert re.findall(r"Loss of (\w+)Train", text) == ["class"]
    assert set(curves) == {"scores", "loss-0", "loss-tasks"}
    assert curves["loss-0"][1] == {"train": (1.0, 1 / 2, 1 / 3), "val": (2.2, 1.1, 2.2 / 3)}
    assert curves["loss-tasks"][1] == {"mask": (0.5,) * 3, "gender": (0.25,) * 3}


def test_training_curves_are_solid_and_validation_dashed(curves):
    render(TINY)
    for head in range(len(TINY)):
        assert curves[f"loss-{head}"][2] == {"train": "solid", "val": "dashed"}


def with_likelihoods(history, mixed=None):
    for row in history:
        row["train"]["nll"] = 7 / row["epoch"]
        row["train"] |= {} if mixed is None else {"mixed": mixed}
        for number, scores in enumerate(row["train"]["tasks"].values(), start=1):
            scores["nll"] = 10 * number / row["epoch"]
    return history


def test_losses_of_one_plot_are_of_one_quantity(curves):
    """A run records the likelihood of its training labels: that, and not the loss that it descended, is drawn."""
    page = Page(render(TINY, history=with_likelihoods(make_history(TINY, [*TINY, "joint"]))))
    assert curves["loss-0"][1] == {"train": (10, 5, 10 / 3), "val": (1.1, 1.1 / 2, 1.1 / 3)}
    assert curves["loss-2"][1] == {"train": (7, 3.5, 7 / 3), "val": (2.2, 1.1, 2.2 / 3)}
    learning = page.section("learning")
    assert "Both losses are the mean negative log-likelihood" in learning
    assert "mixed" not in learning
    assert "epoch objective train loss val loss" in " ".join(cell["text"] for cell in page.all("th", scope="col"))
    assert "12.0007.0002.200" in learning


def test_mixed_training_images_are_owned_up_to(undrawn):
    page = Page(render(TINY, history=with_likelihoods(make_history(TINY), mixed=0.25)))
    assert "Up to 25% of an epoch’s batches were mixed" in page.section("learning")


def test_an_old_runs_losses_are_said_not_to_compare(curves):
    learning = Page(render(TINY)).section("learning")
    assert curves["loss-0"][1] == {"train": (1.0, 1 / 2, 1 / 3), "val": (1.1, 1.1 / 2, 1.1 / 3)}
    assert "Compare their shapes, not their heights" in learning
    assert "train loss as configured" in learning


def test_an_epoch_without_a_label_leaves_a_gap(curves):
    history = with_likelihoods(make_history(TINY))
    history[1]["train"]["tasks"]["mask"] = {"loss": None, "nll": None}
    render(TINY, history=history)
    assert curves["loss-0"][1]["train"] == (10, None, 10 / 3)


def test_only_the_best_epoch_of_all_is_marked(undrawn):
    report, history = make_report(TINY), make_history(TINY)
    for row in history:
        row["best"] = True  # the best so far
    section = Page(render(TINY, history=history)).section("learning")
    assert re.findall(r"(\d) ●", section) == ["2"]
    report["training"]["best_epoch"] = None
    section = Page(render(TINY, report=report, history=history)).section("learning")
    assert re.findall(r"(\d) ●", section) == ["3"]


def test_curves_are_those_of_the_history(curves):
    history = make_history(TINY)
    history[1]["val"] = None
    render(TINY, history=history)
    assert set(curves) == {"scores", "loss-0", "loss-1"}
    assert curves["loss-1"][:2] == ([1, 2, 3], {"train": (1.0, 1 / 2, 1 / 3), "val": (1.1, None, 1.1 / 3)})
    assert curves["scores"][1] == {
        "joint": (0.25, None, 0.75),
        "mask": (0.3, None, 0.3 * 3),
        "gender": (0.3, None, 0.3 * 3),
    }


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


def test_an_interval_may_be_missing(undrawn):
    report = make_report(TINY)
    report["joint"]["macro_f1_ci"] = report["joint"]["accuracy_ci"] = None
    assert "Joint macro-F1 .880 on 350 images" in render(TINY, report=report)


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
    assert "There are none" in Page(render(TINY, report=report, mistakes=())).section("mistakes")


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
