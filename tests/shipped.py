"""The configs and studies that the project ships, read where their data and weights may be absent."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from multitask.errors import UserError

T = TypeVar("T")


def load_shipped(
    load: Callable[[Path], T], path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, others: Sequence[Path] = ()
) -> T:
    """A shipped file without the variables that it, and others that it names, take from the environment.

    One that it cannot do without is set to ``folder``; where a file is absent the test is skipped.
    """
    for name in re.findall(r"\$\{(\w+)", "".join(each.read_text() for each in (path, *others))):
        monkeypatch.delenv(name, raising=False)
    try:
        return load(path)
    except UserError as error:
        absent = re.search(r"there is no file (\S+)$", str(error))
        needed = re.search(r"the environment variable (\w+) is not set", str(error))
        if absent and not Path(absent[1]).exists():
            pytest.skip(f"{absent[1]} is absent")
        if not needed:
            raise
        monkeypatch.setenv(needed[1], str(folder))
        return load(path)
