from __future__ import annotations

from pathlib import Path

import pytest

from multitask.testing import tiny_run


@pytest.fixture(scope="session")
def trained_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny run; not to be written to. Its set is beside it, in ``set``."""
    return tiny_run(tmp_path_factory.mktemp("inference"))
