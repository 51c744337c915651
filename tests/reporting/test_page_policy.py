"""Pages allow nothing from outside, in a real browser: what is theirs works, what was put into them does nothing."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from multitask.reporting import html as pages
from multitask.reporting.eda.page import render_inspection
from multitask.reporting.page_policy import page_policy
from multitask.reporting.study.page import render_study
from tests.browser import Browser, browser, needs_chromium
from tests.reporting.audit import test_page as test_audit_page
from tests.reporting.eda import test_page as test_eda_page
from tests.reporting.run import test_page as test_run_page
from tests.reporting.study import test_page as test_study_page
from tests.reporting.study.reports import study_report

KINDS = ("run", "study", "eda", "audit")
TEMPLATES = ("report.html", "study.html", "eda.html", "audit.html", "bakeoff.html", "recipe.html", "explain.html")


def draw(kind: str, root: Path) -> str:
    if kind == "run":
        return test_run_page.full_page("nasty")
    if kind == "study":
        return render_study(study_report(test_study_page.make_nasty()))
    if kind == "eda":
        return render_inspection(test_eda_page.make(root), "a <set>", test_eda_page.CREATED)
    return test_audit_page.write_page(root).read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=KINDS)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    path = folder / "page.html"
    path.write_text(draw(request.param, folder), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        one.watch()
        yield one


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[str, list[str]]]:
    """A server's address, and what it was asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(204)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_policy_allows_the_pages_own_and_nothing_else(template: str) -> None:
    policy = dict(part.split(" ", 1) for part in page_policy(pages._environment(), template).split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["img-src"] == "data:"
    own = r"'sha256-[\w+/]{43}='"
    assert re.fullmatch(own if template == "audit.html" else "'none'", policy["script-src"])
    assert re.fullmatch(rf"{own}( {own})*", policy["style-src-elem"])
    assert not {"connect-src", "font-src", "frame-src", "object-src"} & set(policy)  # the default's


def test_the_policy_stands_before_all_that_it_is_for(page: Path) -> None:
    head = page.read_text(encoding="utf-8").partition("<head>")[2]
    assert re.match(r'\s*<meta charset="utf-8">\s*<meta http-equiv="Content-Security-Policy" content="[^"]+">', head)


@needs_chromium
def test_the_policy_forbids_nothing_of_the_page(chromium: Browser, page: Path) -> None:
    for width in (1280, 390):
        chromium.size(width, 900)
        chromium.open(page)
        assert chromium.troubles() == []
        assert chromium.run("[...document.images].filter(one => !one.complete || !one.naturalWidth).length") == 0
        assert chromium.run("getComputedStyle(document.querySelector('nav.sections ul')).listStyleType") == "none"
    styled = "[...document.querySelectorAll('[style]')].every(one => one.style.length)"
    assert chromium.run(styled)


@needs_chromium
def test_what_gets_into_a_page_does_nothing(
    chromium: Browser, page: Path, asked: tuple[str, list[str]], tmp_path: Path
) -> None:
    address, paths = asked
    bad = f"""
      <img src="{address}/image"> <img src="x" onerror="window.hacked = 'handler'">
      <script>window.hacked = 'inline'</script> <script src="{address}/script"></script>
      <script type="module" src="{address}/module"></script>
      <style>body {{ outline: 7px solid red; background-image: url({address}/style) }}</style>
      <link rel="stylesheet" href="{address}/sheet"> <link rel="icon" href="{address}/icon">
      <p style="background-image: url({address}/attribute)">p</p>
      <iframe src="{address}/frame"></iframe> <object data="{address}/object"></object>
      <svg><image href="{address}/svg"/><script>window.hacked = 'svg'</script></svg>
      <video src="{address}/video"></video> <base href="{address}/">
      <form id="form" action="{address}/form"></form> <a id="link" href="javascript:window.hacked = 'link'">l</a>
    """
    text = page.read_text(encoding="utf-8")
    opened = tmp_path / "bad.html"
    opened.write_text(text.replace('<main id="main"', bad + '<main id="main"', 1), encoding="utf-8")
    chromium.open(opened)
    chromium.run(f"fetch('{address}/fetch').catch(() => 0); document.getElementById('link').click()")
    chromium.run("document.getElementById('form').submit()")
    chromium.wait("kept.filter(one => one.startsWith('connect-src')).length")
    assert paths == []
    assert chromium.run("window.hacked") is None
    assert chromium.run("getComputedStyle(document.body).outlineStyle") == "none"
    forbidden = {trouble.partition(":")[0] for trouble in chromium.troubles()}
    assert forbidden >= {
        "img-src", "script-src-elem", "script-src-attr", "style-src-elem", "frame-src", "connect-src", "form-action",
        "base-uri",
    }  # fmt: skip


def test_a_script_that_came_with_a_value_is_none_of_the_pages_own() -> None:
    """Its hash is not in the policy, though it may stand in the page."""
    empty: dict[str, Any] = {"lede": "", "counting": "", "num": 0, "heads": [], "table": [], "nearly": [], "data": ""}
    page = pages.render("audit.html", title="<script>x</script>", run="<style>y</style>", **empty)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    assert policy[1].replace("&#39;", "'") == page_policy(pages._environment(), "audit.html")


def test_images_are_data(page: Path) -> None:
    sources = re.findall(r'<img[^>]* src="([^:]+):', page.read_text(encoding="utf-8"))
    assert set(sources) <= {"data"}


def test_a_block_that_depends_on_values_is_refused() -> None:
    environment = pages._environment()
    assert environment.loader is not None

    class Loader(type(environment.loader)):  # type: ignore[misc]
        def get_source(self, environment: object, name: str) -> tuple[str, str, None]:
            return "<script>const name = {{ name }}</script>", name, None

    environment.loader = Loader("multitask.reporting", "templates")
    with pytest.raises(AssertionError, match="depends on values"):
        page_policy(environment, "new.html")
