"""A worker that imports nothing heavy: it sends back what its job is, and whatever comes of ``line``."""

from __future__ import annotations

import os
from typing import Any

from multitask.executors.line import Line, serve


def _do(job: Any, line: Line) -> object:
    assert job == "environment"
    return dict(os.environ)


if __name__ == "__main__":
    serve(_do)
