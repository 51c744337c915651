"""The local server: what it takes and from whom, and that nothing ends it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from multitask.errors import UserError
from multitask.inference.serve import server as module
from multitask.inference.serve.server import LocalServer


def answer(data: bytes) -> Mapping[str, Any]:
    if data == b"bad":
        raise UserError("the image: is none")
    if data == b"bug":
        raise RuntimeError("secret path")
    return {"size": len(data)}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with LocalServer(0, "<p>page", "default-src 'none'", answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(
    server: LocalServer, method: str = "POST", path: str = "/answer", body: bytes = b"", **headers: str
) -> tuple[int, Mapping[str, str], Any]:
    """Status, headers and content; headers that are not given are those of the server's own page."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    own = {"Host": server.hosts[0], "Content-Length": str(len(body))}
    if method == "POST":
        own |= {"Origin": f"http://{server.hosts[0]}", "Content-Type": "application/octet-stream"}
    connection.putrequest(method, path, skip_host=True)
    for name, value in (own | {name.replace("_", "-"): value for name, value in headers.items()}).items():
        if value:
            connection.putheader(name, value)
    connection.endheaders(body)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    is_json = reply.headers["Content-Type"] == "application/json"
    return reply.status, reply.headers, json.loads(content) if is_json else content.decode()


def test_page_and_answer(served: LocalServer) -> None:
    status, headers, page = ask(served, "GET", "/")
    assert (status, page) == (200, "<p>page")
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers
    assert ask(served, body=b"abc")[::2] == (200, {"size": 3})
    local = f"localhost:{served.server_port}"
    assert ask(served, body=b"abc", Host=local, Origin=f"http://{local}")[0] == 200


def test_head_is_the_page_without_it(served: LocalServer) -> None:
    status, headers, content = ask(served, "HEAD", "/")
    assert (status, headers["Content-Length"], content) == (200, str(len("<p>page")), "")


def test_what_is_no_http_is_refused_as_all_else(served: LocalServer) -> None:
    with socket.create_connection(("127.0.0.1", served.server_port), timeout=30) as connection:
        connection.sendall(b"what is this HTTP\r\n\r\n")
        reply = connection.makefile("rb").read().decode()
    assert reply.endswith("}")
    assert '{"error": "' in reply
    assert "<" not in reply


def test_it_listens_to_this_machine_alone(served: LocalServer) -> None:
    assert served.server_address[0] == "127.0.0.1"
    assert served.address == f"http://127.0.0.1:{served.server_port}/"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost", ""])
def test_another_hosts_name_is_refused(served: LocalServer, method: str, host: str) -> None:
    """After DNS rebinding a page of another site asks under its own name."""
    status, _, content = ask(served, method, "/" if method == "GET" else "/answer", b"abc", Host=host)
    assert (status, list(content)) == (421, ["error"])


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "https://127.0.0.1"])
def test_another_origins_images_are_refused(served: LocalServer, origin: str) -> None:
    assert ask(served, body=b"abc", Origin=origin)[0] == 403


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (404, {"path": "/other"}),
        (404, {"method": "GET", "path": "/answer"}),
        (404, {"method": "GET", "path": "/../etc/passwd"}),
        (415, {"Content_Type": "text/plain"}),
        (415, {"Content_Type": "multipart/form-data; boundary=x"}),
        (411, {"Content_Length": ""}),
        (411, {"Content_Length": "-1"}),
        (413, {"body": b"x" * 1001}),
        (413, {"Content_Length": "99999999999999"}),
        (422, {"body": b"bad"}),
        (500, {"body": b"bug"}),
        (405, {"method": "PUT"}),
        (405, {"method": "DELETE", "path": "/"}),
    ],
)
def test_what_is_refused_does_not_end_it(served: LocalServer, status: int, changes: dict[str, Any]) -> None:
    found, headers, content = ask(served, **changes)
    assert (found, list(content)) == (status, ["error"])
    assert headers["Allow"] == ("GET, HEAD, POST" if status == 405 else None)
    assert "secret" not in str(content)
    if status == 422:
        assert content == {"error": "the image: is none"}
    assert ask(served, body=b"x" * 1000)[::2] == (200, {"size": 1000})


def test_a_client_that_goes_away_is_no_matter(served: LocalServer, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        connection = http.client.HTTPConnection("127.0.0.1", served.server_port)
        connection.putrequest("POST", "/answer", skip_host=True)
        for name, value in (("Host", served.hosts[0]), ("Origin", f"http://{served.hosts[0]}")):
            connection.putheader(name, value)
        connection.putheader("Content-Type", "application/octet-stream")
        connection.putheader("Content-Length", "900")
        connection.endheaders(b"only this")
        connection.close()
    assert ask(served, body=b"abc")[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def test_a_port_that_is_taken(served: LocalServer) -> None:
    with pytest.raises(UserError, match=rf"^--port {served.server_port}: .*--port 0"):
        LocalServer(served.server_port, "", "", answer)
