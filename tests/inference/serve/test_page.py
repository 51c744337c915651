"""The served page in a real browser: an image is chosen or dropped, and every head answers."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multitask.inference.predictor import Predictor
from multitask.inference.serve.answers import Answerer, ExplainingAnswerer, PlainAnswerer, load_answerer
from multitask.inference.serve.server import MAX_BYTES, LocalServer
from multitask.reporting.explain.live import render_live
from multitask.reporting.explain.text import percent_text
from tests.browser import WIDTHS, Browser, browser, needs_chromium

ANSWERED = "!document.getElementById('answer').hidden"
STATUS = "document.getElementById('status').textContent"


@contextmanager
def serving(answerer: Answerer) -> Iterator[LocalServer]:
    spec = answerer.spec
    page, policy = render_live(spec.run, spec.space.task_names, MAX_BYTES, isinstance(answerer, ExplainingAnswerer))
    with LocalServer(0, page, policy, answerer.answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def image_of(trained_path: Path) -> Path:
    return min((trained_path.parent / "set" / "eval" / "images").iterdir())


def failed(chromium: Browser) -> str:
    """The line with which the page says that an image was not answered."""
    chromium.wait("document.getElementById('status').classList.contains('failed')")
    assert not chromium.run(ANSWERED)
    text: str = chromium.run(STATUS)
    return text


@needs_chromium
def test_every_head_answers_with_its_map(trained_path: Path, tmp_path: Path) -> None:
    path = image_of(trained_path)
    expected = Predictor.load(trained_path).predict(path)
    bad, large = tmp_path / "bad.jpg", tmp_path / "large.jpg"
    bad.write_bytes(b"no image")
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with serving(load_answerer(trained_path)) as server, browser(tmp_path / "profile") as chromium:
        chromium.watch()
        for width in WIDTHS:
            chromium.size(width, 900)
            chromium.visit(server.address)
            chromium.choose("#file", bad)
            assert failed(chromium) == "bad.jpg: cannot be read as an image: not an image"
            chromium.choose("#file", large)
            assert failed(chromium) == "large.jpg: the file has more than the 32 MB that are taken"
            chromium.choose("#file", path)
            chromium.wait(ANSWERED)
            assert chromium.run(STATUS) == path.name
            decided = f"{expected.class_name}, {percent_text(expected.class_prob)}"
            assert chromium.run("document.getElementById('decided').textContent") == decided
            heads = "[...document.querySelectorAll('#heads .head')].map(one => one.querySelector('h3').textContent)"
            assert chromium.run(heads) == list(expected.labels)
            bold = "[...document.querySelectorAll('#heads .decided-one span:first-child')].map(one => one.textContent)"
            assert chromium.run(bold) == list(expected.labels.values())
            rows = chromium.run("[...document.querySelectorAll('#heads .head')].map(one => one.innerText)")
            for row, probs in zip(rows, expected.probs.values(), strict=True):
                assert all(label in row and percent_text(prob) in row for label, prob in probs.items())
            assert chromium.run("document.images.length") == 5
            assert chromium.run("[...document.images].every(one => one.complete && one.naturalWidth)")
            assert chromium.run("document.documentElement.scrollWidth <= innerWidth")
            assert chromium.troubles() == []


@needs_chromium
def test_a_file_is_dropped_anywhere(trained_path: Path, tmp_path: Path) -> None:
    content = base64.b64encode(image_of(trained_path).read_bytes()).decode()
    drop = f"""(() => {{
      const bytes = Uint8Array.from(atob({json.dumps(content)}), letter => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], "dropped.jpg"));
      document.body.dispatchEvent(new DragEvent("drop", {{ dataTransfer: transfer, bubbles: true, cancelable: true }}));
    }})()"""
    with serving(load_answerer(trained_path)) as server, browser(tmp_path / "profile") as chromium:
        chromium.visit(server.address)
        chromium.run(drop)
        chromium.wait(ANSWERED)
        assert chromium.run(STATUS) == "dropped.jpg"
        chromium.run("dispatchEvent(new DragEvent('drop', { dataTransfer: new DataTransfer() }))")
        assert chromium.run(STATUS) == "what was dropped is no file"


def test_an_exported_file_answers_without_maps(exported_path: Path, trained_path: Path) -> None:
    answerer = load_answerer(exported_path)
    assert isinstance(answerer, PlainAnswerer)
    path = image_of(trained_path)
    found, whole = (one.answer(path.read_bytes()) for one in (answerer, load_answerer(trained_path)))
    assert [head["label"] for head in found["heads"]] == [head["label"] for head in whole["heads"]]
    assert [head["head"] for head in found["heads"]] == ["class", "mask", "gender", "age"]
    assert all(head["map"] is None for head in found["heads"])
    assert all(head["map"]["src"].startswith("data:image/jpeg") for head in whole["heads"])
    assert found["seen"]["src"].startswith("data:image/jpeg")
    assert whole["heads"][0]["more"] == 18 - 6
