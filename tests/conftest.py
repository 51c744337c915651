"""What many tests need: a small drawn set, a config that trains on it in a second, the shared data where it is."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Before torch is imported, here and in the processes that tests start: several test processes share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from multitask.config import Config
from multitask.data.synthetic import draw_set
from multitask.errors import UserError
from multitask.settings import override, validate
from multitask.testing.example_run import TINY
from tests.processes import Forked

# No test pulls the plug, and a tenth of the time of a tiny run is a disk that waits to be sure.
os.fsync = lambda fd: None

# The gate tries the same examples each time; whoever develops tries new ones.
settings.register_profile("gate", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("gate")

SHARED = Path(__file__).parents[2] / "shared"

needs_shared = pytest.mark.skipif(
    not (SHARED / "data" / "mask18-mini").is_dir(), reason="shared/ with mask18-mini is not beside the project"
)


@pytest.fixture(autouse=True)
def interruptible() -> Generator[None, None, None]:
    """Children hear Ctrl-C even where tests run in the background of a script, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn set of 12 people to train and 3 in eval; not to be written to."""
    root = tmp_path_factory.mktemp("drawn") / "set"
    draw_set(root, people=12, seed=1)
    return root


@pytest.fixture(scope="session")
def tiny(drawn: Path) -> Callable[..., Config]:
    """Makes the config of a tiny run on ``drawn``: ``tiny({"training.epochs": 1})``."""

    def make(changes: dict[str, Any] | None = None) -> Config:
        data = override(Config, dict(TINY), {"data.root": str(drawn), **(changes or {})})
        return validate(Config, data)

    return make


@pytest.fixture(scope="module")
def forked_workers() -> Generator[None, None, None]:
    """Workers of studies in this process are forked, and start at once."""
    from multitask.study import pool

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "subprocess", SimpleNamespace(Popen=Forked, DEVNULL=subprocess.DEVNULL))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What exports a run is skipped where torch is too old for it, by the line that users get."""
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, UserError):
        why = str(call.excinfo.value)
        if why.startswith("to export a run needs torch"):
            report.outcome, report.longrepr = "skipped", (str(item.path), 0, f"Skipped: {why}")
    return report
