"""A server for this machine alone: one page, and one address that answers an image's bytes."""

from __future__ import annotations

import json
import socketserver
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from multitask.errors import UserError

LOOPBACK = "127.0.0.1"
MAX_BYTES = 32 * 2**20
"""Of an image's file."""
_MAX_DISCARDED = 4 * MAX_BYTES
"""Of a body that is too large and yet read, since a browser shows an answer only once its request is taken."""
_MOST_AT_ONCE = 2
_TIMEOUT_S = 30
_BODY = "application/octet-stream"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

Answer = Callable[[bytes], Mapping[str, Any]]


class LocalServer(ThreadingHTTPServer):
    """Serves a page on this machine's loopback address, and answers the images that the page posts.

    Another site's page could reach it too, since a browser runs here: so it takes no request under another host's name
    (as after DNS rebinding), and no image from a page of another origin. Nothing that is posted is kept.

    Args:
        port: to listen on; 0: any that is free.
        page: the HTML page.
        policy: its content security policy.
        answer: from the bytes of an image's file to JSON data; any number of threads may call it.

    Raises:
        UserError: the port cannot be had.
    """

    daemon_threads = True

    def __init__(self, port: int, page: str, policy: str, answer: Answer) -> None:
        self.page = page.encode()
        self.policy = f"{policy}; frame-ancestors 'none'"
        self.answer = answer
        self.slots = threading.BoundedSemaphore(_MOST_AT_ONCE)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            raise UserError(f"--port {port}: {error.strerror}; --port 0 takes one that is free") from None

    def server_bind(self) -> None:
        """Binds without asking who this machine is, which takes seconds where nobody answers."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names under which it answers."""
        return f"{LOOPBACK}:{self.server_port}", f"localhost:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says what went wrong with a connection in a line; a client that went away is nothing to say."""
        error = sys.exception()
        if not isinstance(error, (ConnectionError, TimeoutError)):
            print(f"a request failed: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "multitask", ""
    timeout = _TIMEOUT_S

    def do_GET(self) -> None:
        if self._refused():
            return
        if self.path != "/":
            self._fail(404, "there is nothing here but the page at /")
            return
        self._send(200, "text/html; charset=utf-8", self.server.page)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        if self._refused():
            return
        origin = self.headers.get("Origin", "")
        if origin not in {f"http://{host}" for host in self.server.hosts}:
            self._fail(403, "images are taken from this server's own page only")
        elif self.path != "/answer":
            self._fail(404, "images are answered at /answer")
        elif self.headers.get("Content-Type") != _BODY:
            self._fail(415, f"an image is posted as {_BODY}")
        elif (data := self._body()) is not None:
            self._answer(data)

    def _answer(self, data: bytes) -> None:
        try:
            with self.server.slots:
                found = self.server.answer(data)
            content = json.dumps(found, allow_nan=False).encode()
        except UserError as error:
            self._fail(422, str(error))
        except Exception as error:  # whatever it is, the next image is to be answered
            self._fail(500, f"the image could not be answered: {type(error).__name__}")
        else:
            self._send(200, "application/json", content)

    def _refused(self) -> bool:
        if self.headers.get("Host") in self.server.hosts:
            return False
        self._fail(421, "this server answers under its own address only")
        return True

    def _body(self) -> bytes | None:
        """What was posted; None where it was refused."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            self._fail(411, "the size of the image is missing")
            return None
        if int(length) > MAX_BYTES:
            left = int(length) if int(length) <= _MAX_DISCARDED else 0
            while left and (part := self.rfile.read(min(left, 2**16))):
                left -= len(part)
            self._fail(413, f"the image's file has more than the {MAX_BYTES // 2**20} MB that are taken")
            return None
        return self.rfile.read(int(length))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library refuses by itself, such as a method without a function here, as all else is refused."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._fail(405, "the page is had by GET, an image is posted to /answer", Allow="GET, HEAD, POST")
        else:
            self._fail(code, message or HTTPStatus(code).phrase)

    def _fail(self, status: int, message: str, **more: str) -> None:
        self.close_connection = True  # perhaps a body is still to come
        self._send(status, "application/json", json.dumps({"error": message}).encode(), **more)

    def _send(self, status: int, kind: str, content: bytes, **more: str) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(content)), **_HEADERS, **more}
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in (headers | {"Content-Security-Policy": self.server.policy}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing: what is posted is nobody's business."""
