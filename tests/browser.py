"""A real browser, worked by keys and clicks: headless Chromium over the DevTools protocol's pipe."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.parsed_page import Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium: chromium, chromium-browser or google-chrome on the path"
)

DEADLINE_S = 120
WIDTHS = (1280, 390)
_KEYS = {"ArrowLeft": 37, "ArrowRight": 39}


class Browser:
    """A browser, and the page of it that is worked."""

    def __init__(self, reader: IO[bytes], writer: IO[bytes]) -> None:
        self._reader = reader
        self._writer = writer
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self._attach()

    def _attach(self) -> None:
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Calls a method of the protocol and waits for what it gives."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None and not method.startswith("Browser."):
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                found: dict[str, Any] = answer["result"]
                return found

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = self._reader.read(1 << 16)
            assert read, "the browser is gone"
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Opens another page, which is the one that is worked meanwhile."""
        before = self._session
        self._attach()
        yield
        self._session = before

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, script: str) -> Any:
        """The value of an expression in the page, once it is true."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                value = self.run(script)
            except AssertionError as error:
                if "Inspected target navigated" not in str(error):  # another page came while this one was asked
                    raise
                value = None
            if value:
                return value
            assert time.monotonic() < deadline, f"never true: {script}"
            time.sleep(0.05)

    def open(self, path: Path) -> None:
        """Opens a file of this disk."""
        self.visit(path.as_uri())

    def visit(self, address: str) -> None:
        """Opens an address."""
        self.run("window.stale = true")
        self.call("Page.navigate", url=address)
        self.wait("!window.stale && document.readyState === 'complete'")

    def reload(self) -> None:
        """Loads the page again from inside it: what it has stored is then there, which takes a moment elsewhere."""
        self.run("window.stale = true")
        self.run("location.reload()")
        self.wait("!window.stale && document.readyState === 'complete'")

    def watch(self) -> None:
        """Has every page from now on keep what its policy forbids and what its scripts throw, for ``troubles``."""
        source = (
            "window.kept = [];"
            "addEventListener('error', event => kept.push(`error: ${event.message || event.target.outerHTML}`), true);"
            "document.addEventListener('securitypolicyviolation', event => "
            "kept.push(`${event.effectiveDirective}: ${event.blockedURI}`));"
        )
        self.call("Page.addScriptToEvaluateOnNewDocument", source=source)

    def troubles(self) -> list[str]:
        """What ``watch`` had the page keep."""
        found: list[str] = self.run("window.kept")
        return found

    def size(self, width: int, height: int) -> None:
        """Makes the window so large, in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def dark(self, on: bool) -> None:
        """Asks for dark pages, or for light ones."""
        feature = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def key(self, name: str) -> None:
        """Presses a key and lets it go."""
        code = _KEYS.get(name, ord(name[0].upper()))
        text = {} if name in _KEYS else {"text": name}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, windowsVirtualKeyCode=code)

    def click(self, selector: str) -> None:
        """Clicks the middle of an element with the mouse."""
        place = self.run(
            f"(() => {{ const element = document.querySelector({json.dumps(selector)}); "
            "element.scrollIntoView({block: 'center', behavior: 'instant'}); "
            "const box = element.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        at = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **at)

    def choose(self, selector: str, path: Path) -> None:
        """Chooses a file of this disk in a file input, as its dialogue would."""
        self.call("DOM.enable")
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def downloads(self, folder: Path) -> None:
        """Saves what pages give to a folder."""
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def image(self, path: Path) -> None:
        """Writes what is to be seen as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


def at_both_widths(pages: Mapping[str, str], watch: str, folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """What pages say of themselves in a desktop's and in a phone's width.

    Args:
        pages: name -> HTML.
        watch: a script that posts what is found to the parent, with ``location.hash.slice(1)`` as its ``name``.
        folder: for the files.

    Returns:
        (name, width in CSS pixels) -> what was posted.
    """
    assert CHROMIUM is not None
    frames = ""
    for name, source in pages.items():
        page = source.replace("<head>", f"<head><script>{watch}</script>", 1)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
        for width in WIDTHS:
            address = f"{name}.html#{name}-{width}"
            frames += f'<iframe src="{address}" width="{width}" height="900" style="border:0"></iframe>'
    # Chromium's own window is never narrower than 500 px, so each width is that of a frame.
    wrapper = folder / "wrapper.html"
    wrapper.write_text(
        "<meta charset=utf-8><pre></pre><script>const found = []; addEventListener('message', event => {"
        "found.push(event.data); document.querySelector('pre').textContent = JSON.stringify(found)})</script>" + frames,
        encoding="utf-8",
    )
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--virtual-time-budget=10000", "--window-size=1400,900", "--dump-dom", wrapper.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240).stdout
    rows = {row["name"]: row for row in json.loads(Page(dom).one("pre")["text"])}
    assert set(rows) == {f"{name}-{width}" for name in pages for width in WIDTHS}
    return {(name, width): rows[f"{name}-{width}"] for name in pages for width in WIDTHS}


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with a profile of its own, gone at the end."""
    assert CHROMIUM is not None
    ends = [*os.pipe(), *os.pipe()]
    # Out of the way of 3 and 4, which the browser reads from and writes to.
    theirs_in, ours_out, ours_in, theirs_out = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in ends)
    for end in ends:
        os.close(end)

    def connect() -> None:
        os.dup2(theirs_in, 3)
        os.dup2(theirs_out, 4)

    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += ["--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
    process = subprocess.Popen(
        command, pass_fds=(3, 4), preexec_fn=connect, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        with os.fdopen(ours_in, "rb", buffering=0) as reader, os.fdopen(ours_out, "wb", buffering=0) as writer:
            yield Browser(reader, writer)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
