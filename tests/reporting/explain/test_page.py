"""The page of explanations: what stands under the maps, and how it looks at both widths."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from multitask.evaluation.evidence import Explanation, HeatMap
from multitask.inference.explain import METHODS
from multitask.reporting.explain.overlay import overlay, shown
from multitask.reporting.explain.page import render_explanations
from multitask.reporting.explain.report_schema import HeadEvidence
from multitask.reporting.explain.text import METHOD_WORDS, evidence_sentences, method_sentences, percent_text
from tests.browser import WIDTHS, browser, needs_chromium

CREATED = "2026-11-28T10:00:00+00:00"


def heat(head: str, label: str, prob: float, *, blank: bool = False, method: str = "Grad-CAM") -> HeatMap:
    values = np.zeros((24, 16), dtype=np.float32)
    if not blank:
        values[:12] = 1
    return HeatMap(head, label, prob, values, (3, 2), method)


def explanation(name: str = "images/<b>one.jpg", num_tasks: int = 2) -> Explanation:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)
    tasks = [
        heat("<i>mask", "worn & <u>", 0.934, method="attention weights"),
        heat("gender", "female", 0.5, blank=True),
    ]
    tasks += [heat(f"task-{index}", "x" * 40, 0.9999) for index in range(num_tasks - 2)]
    return Explanation(name, pixels, tuple(tasks), heat("joint", "worn & <u>/female", 0.004))


def test_every_map_stands_with_its_label_and_probability() -> None:
    text = render_explanations("a <run>", [explanation(), explanation("two.jpg")], 7, CREATED)
    assert text == render_explanations("a <run>", [explanation(), explanation("two.jpg")], 7, CREATED)
    assert "<b>one" not in text
    assert "<u>" not in text
    captions = [" ".join(re.sub(r"<[^>]+>", " ", one).split()) for one in re.findall(r"<figcaption>(.*?)</fig", text)]
    assert len(captions) == 8
    assert captions[:4] == [
        "as the network sees it",
        "&lt;i&gt;mask worn &amp; &lt;u&gt; , 93%",
        "gender female , 50% no place speaks for it",
        "class worn &amp; &lt;u&gt;/ female , &lt;1%",
    ]
    assert "They are the first of 7." in text
    assert len(re.findall(r'<img src="data:image/jpeg', text)) == 8
    assert len(re.findall(r'<img [^>]* alt="[^"]+">', text)) == 8


def test_every_method_has_its_words() -> None:
    assert set(METHOD_WORDS) == set(METHODS)
    assert method_sentences([explanation()]) == [
        f"<i>mask: attention weights, {METHOD_WORDS['attention weights']}; 2 × 3 cells.",
        f"gender, class: Grad-CAM, {METHOD_WORDS['Grad-CAM']}; 2 × 3 cells.",
    ]


@pytest.mark.parametrize(("prob", "text"), [(0, "0%"), (0.001, "<1%"), (0.5, "50%"), (0.9991, ">99%"), (1, "100%")])
def test_no_certainty_that_is_not_there(prob: float, text: str) -> None:
    assert percent_text(prob) == text


def test_evidence_that_is_a_little_more_inside_is_not_said_to_be_no_more() -> None:
    row = HeadEvidence("shape", None, 84, 0.286, (0.278, 0.294), 0.25, 1.2, (1.15, 1.25), "neither")
    assert evidence_sentences("region", [row], []) == [
        "shape uses the region about as much as what is around it: 29% of its evidence is there, on 25% of the area."
    ]


def test_heat_colours_where_it_is_and_leaves_grey_where_it_is_not() -> None:
    pixels = explanation().pixels
    found = overlay(pixels, explanation().tasks[0].values).astype(int)
    assert found.shape == shown(pixels).shape == (224, 149, 3)
    spread = found.max(axis=2) - found.min(axis=2)
    assert spread[-60:].max() == 0
    assert spread[:60].min() > 60


@needs_chromium
def test_it_fits_a_desktop_and_a_phone(tmp_path: Path) -> None:
    path = tmp_path / "why.html"
    names = ["one.jpg", "folder/" * 12 + "a_long_name_" * 8 + ".jpg"]
    path.write_text(render_explanations("run", [explanation(one, 5) for one in names], 2, CREATED), encoding="utf-8")
    with browser(tmp_path / "profile") as chromium:
        chromium.watch()
        for width in WIDTHS:
            chromium.size(width, 900)
            chromium.open(path)
            assert chromium.troubles() == []
            assert chromium.run("[...document.images].every(one => one.complete && one.naturalWidth)")
            assert chromium.run("document.documentElement.scrollWidth <= innerWidth")
            across = "new Set([...document.querySelectorAll('.why li:first-child img')].map(one => one.x)).size"
            assert chromium.run(across) == {1280: 7, 390: 2}[width]
            assert chromium.run("Math.min(...[...document.images].map(one => one.width))") >= 120
