"""The audit's page, reviewed in a real browser by keys and clicks, and what it exports."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multitask.data.corrections import read_corrections
from multitask.data.samples import Samples
from multitask.evaluation.group_pooling import Pooling
from multitask.evaluation.suspects import Audit, Change, HeadAudit, Suspect
from multitask.labels import LabelSpace, Task
from multitask.progress import Progress
from multitask.reporting.audit.page import render_audit
from tests.browser import DEADLINE_S, Browser, browser, needs_chromium

SPACE = LabelSpace([Task("mask", ("worn", "off")), Task("gender", ("male", "female"))])
ODD = 'ann "o\'neil" </script> é 😀\u2028 & co'
"""A name that could break a page, a script or YAML."""


def suspect(head: str, group: str, images: tuple[str, ...], given: str, suggested: str, *changes: Change) -> Suspect:
    return Suspect(head, group, images, given, suggested, 0.1, 0.1, 0.8, False, changes)


def made_up() -> Audit:
    even = np.log([0.5, 0.5])
    pooling = Pooling(1.5, 0.4, 0.02, even, even)
    ann, bob = Change(ODD, "gender", "male", "female"), Change("bob", "gender", "female", "male")
    suspects = (
        suspect("gender", ODD, (f"{ODD}/0.jpg", f"{ODD}/1.jpg"), "male", "female", ann),
        suspect("mask", "bob", ("bob/0.jpg",), "worn", "off", Change("bob/0.jpg", "mask", "worn", "off")),
        suspect("gender", "bob", ("bob/0.jpg", "bob/1.jpg"), "female", "male", bob),
        suspect("mask", "cat", ("cat/0.jpg",), "off", "worn", Change("cat/0.jpg", "mask", "off", "worn")),
        suspect(
            "joint", ODD, (f"{ODD}/1.jpg",), "worn/male", "off/female", ann,
            Change(f"{ODD}/1.jpg", "mask", "worn", "off"),
        ),
    )  # fmt: skip
    rows = tuple(
        HeadAudit(head, unit, 10, 2, 2, 1, 0.9, 0.5, True, pooling)
        for head, unit in (("mask", "image"), ("gender", "group"), ("joint", "image"))
    )
    return Audit(rows, suspects, ("gender",), {"mask": 0.97})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("audit"))


def write_page(root: Path) -> Path:
    """The page of what is made up, and its images, in a folder."""
    audit = made_up()
    images = sorted({image for one in audit.suspects for image in one.images})
    for number, image in enumerate(images):
        path = root / image
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 30, 3), 40 * number, np.uint8)).save(path)
    samples = Samples.unlabelled(SPACE, root, images, images)
    text = render_audit("my/run <1>", audit, audit.suspects, samples, 0.75, Progress())
    path = root / "audit.html"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_page_needs_nothing_from_elsewhere_and_no_name_breaks_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=.?https?:", text)
    assert "</script> " not in text
    assert text.count("<script") == text.count("</script>") == 2
    assert "my/run &lt;1&gt;" in text
    assert "--constant mask" in text
    assert '<p class="lede">5 of 5 suspect labels are more probably wrong than right, ' in text


def test_nothing_suspect_is_a_page_without_a_script(tmp_path: Path) -> None:
    audit = Audit(made_up().heads, (), (), {})
    samples = Samples.unlabelled(SPACE, tmp_path, [], [])
    text = render_audit("run", audit, (), samples, 0.75, Progress())
    assert "<script" not in text
    assert "No label is suspect" in text


@pytest.fixture
def opened(page: Path, tmp_path: Path) -> Iterator[Browser]:
    """The page, opened for the first time."""
    with browser(tmp_path / "profile") as chromium:
        chromium.size(1280, 900)
        chromium.open(page)
        yield chromium


COUNT = "document.getElementById('count').textContent"


def text_of(chromium: Browser, identity: str) -> str:
    return str(chromium.run(f"document.getElementById('{identity}').textContent"))


@needs_chromium
def test_a_review_by_keys_is_exported_as_corrections_that_load(opened: Browser, tmp_path: Path) -> None:
    assert "1 of 5" in text_of(opened, "card")
    assert opened.run("document.getElementById('export').disabled")
    opened.key("a")  # ann's gender
    assert "2 of 5" in text_of(opened, "card")
    assert text_of(opened, "count") == "1 of 5 decided, 1 accepted in all"
    opened.key("r")
    opened.key("s")
    opened.key("a")  # cat's mask
    assert "off/female" in text_of(opened, "card")
    opened.key("a")  # ann's gender once more, and a mask
    assert text_of(opened, "count") == "5 of 5 decided, 3 accepted in all"
    opened.downloads(tmp_path)
    opened.click("#export")
    saved = tmp_path / "corrections.yaml"
    opened.wait("document.getElementById('exported').textContent")
    deadline = time.monotonic() + DEADLINE_S
    while not saved.is_file():  # it has another name until it is whole
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert text_of(opened, "exported") == "3 corrections"
    assert saved.read_text(encoding="utf-8") == opened.run("document.getElementById('text').value")
    rows = [row for _, row in read_corrections(saved)]
    found = [(row.path, row.field, row.from_, row.to) for row in rows]
    read = ODD.replace("\u2028", " ")  # names that differ in no more than that are one
    assert found == [
        (read, "gender", "male", "female"),
        ("cat/0.jpg", "mask", "off", "worn"),
        (f"{read}/1.jpg", "mask", "worn", "off"),
    ]
    assert {row.tier for row in rows} == {"strong"}
    assert rows[0].source == "multitask audit of my/run <1>, accepted by a person"
    assert rows[0].reason == "out-of-fold probability of male is 0.100"


@needs_chromium
def test_arrows_go_back_and_on_and_a_key_takes_its_decision_back(opened: Browser) -> None:
    opened.key("ArrowLeft")
    assert "1 of 5" in text_of(opened, "card")
    opened.key("ArrowRight")
    opened.key("ArrowRight")
    assert "3 of 5" in text_of(opened, "card")
    opened.key("r")
    assert "4 of 5" in text_of(opened, "card")
    opened.key("ArrowLeft")
    assert "rejected" in text_of(opened, "card")
    opened.key("r")
    assert "rejected" not in text_of(opened, "card")
    assert text_of(opened, "count") == "0 of 5 decided, 0 accepted in all"


@needs_chromium
def test_buttons_do_what_keys_do(opened: Browser) -> None:
    opened.click("#accept")
    opened.click("#reject")
    opened.click("#skip")
    assert text_of(opened, "count") == "3 of 5 decided, 1 accepted in all"
    opened.click("#back")
    assert "3 of 5" in text_of(opened, "card")
    assert "skipped" in text_of(opened, "card")
    opened.click("#list li:nth-child(2) button")
    assert "2 of 5" in text_of(opened, "card")
    assert "rejected" in text_of(opened, "card")
    assert opened.run("document.getElementById('reject').getAttribute('aria-pressed')") == "true"


@needs_chromium
def test_one_head_alone_is_gone_through(opened: Browser) -> None:
    opened.run(
        "(() => { const filter = document.getElementById('filter'); filter.value = 'mask'; "
        "filter.dispatchEvent(new Event('change')); })()"
    )
    assert "1 of 2" in text_of(opened, "card")
    assert "mask of bob/0.jpg" in text_of(opened, "card")
    opened.key("a")
    assert "mask of cat/0.jpg" in text_of(opened, "card")
    opened.key("a")
    assert text_of(opened, "count") == "2 of 2 decided, 2 accepted in all"
    shown = opened.run("[...document.getElementById('list').children].filter(item => !item.hidden).length")
    assert shown == 2


@needs_chromium
def test_decisions_are_there_again_when_the_page_is(opened: Browser) -> None:
    opened.key("a")
    opened.key("r")
    opened.reload()
    # Chromium may give the page what the one before it stored a moment after it has begun.
    opened.wait(f"{COUNT} === '2 of 5 decided, 1 accepted in all'")
    assert "3 of 5" in text_of(opened, "card")  # the first that is open


@needs_chromium
def test_tabs_of_one_page_lose_nothing_of_each_other(opened: Browser, page: Path) -> None:
    opened.key("a")
    with opened.beside():
        opened.open(page)
        opened.wait(f"{COUNT} === '1 of 5 decided, 1 accepted in all'")
        opened.key("r")
        opened.key("s")
        assert "4 of 5" in text_of(opened, "card")
    opened.wait(f"{COUNT} === '3 of 5 decided, 1 accepted in all'")
    assert "4 of 5" in text_of(opened, "card")
    opened.key("a")
    opened.reload()
    opened.wait(f"{COUNT} === '4 of 5 decided, 2 accepted in all'")


@needs_chromium
def test_without_storage_the_page_works_and_says_so(opened: Browser, page: Path) -> None:
    script = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied'); } })"
    identity = opened.call("Page.addScriptToEvaluateOnNewDocument", source=script)["identifier"]
    try:
        opened.open(page)
        opened.key("a")
        assert text_of(opened, "count") == "1 of 5 decided, 1 accepted in all"
        assert not opened.run("document.getElementById('unkept').hidden")
        opened.click("#export")
        assert text_of(opened, "exported") == "1 correction"
    finally:
        opened.call("Page.removeScriptToEvaluateOnNewDocument", identifier=identity)


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_and_is_light_or_dark(opened: Browser, width: int) -> None:
    opened.size(width, 900)
    opened.run("document.querySelector('#filter').append(new Option('a_head_of_a_name_without_an_end'.repeat(3)))")
    assert opened.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    grounds = set()
    for on in (False, True):
        opened.dark(on)
        grounds.add(opened.run("getComputedStyle(document.body).backgroundColor"))
        broken = "[...document.images].filter(image => !image.complete || !image.naturalWidth).length"
        assert opened.run(broken) == 0
    opened.dark(False)
    assert len(grounds) == 2
    small = (
        "Math.min(...[...document.querySelectorAll('main *')].filter(one => one.checkVisibility())"
        ".map(one => parseFloat(getComputedStyle(one).fontSize)))"
    )
    assert opened.run(small) >= 11
