"""The real optuna-dashboard on the storage of a study of ours."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from optuna_dashboard import wsgi

from multitask.study.storage import folder_url, open_storage

Make = Callable[..., Any]


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of a storage, and of a server that shows it."""
    url = folder_url(tmp_path / "study.db")
    with make_server("127.0.0.1", 0, wsgi(open_storage(url)), handler_class=_Silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield url, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_shows_the_trials_as_they_end(
    dashboard: tuple[str, str], make_plan: Make, search: Make, trained: Make
) -> None:
    url, address = dashboard
    with urlopen(f"{address}/dashboard/", timeout=30) as page:
        assert b"Optuna Dashboard" in page.read()
    study = search(make_plan(budget={"trials": 3}, pruner="none"), trained(lambda config: [0.25, 0.5]), url=url)
    with urlopen(f"{address}/api/studies", timeout=30) as answer:
        (summary,) = json.load(answer)["study_summaries"]
    assert (summary["study_name"], summary["directions"]) == (study.study_name, ["maximize"])
    with urlopen(f"{address}/api/studies/{summary['study_id']}", timeout=30) as answer:
        trials = json.load(answer)["trials"]
    assert [trial["state"] for trial in trials] == ["Complete"] * 3
    assert [trial["values"] for trial in trials] == [[0.5]] * 3
    assert [[item["value"] for item in trial["intermediate_values"]] for trial in trials] == [[0.25, 0.5]] * 3
