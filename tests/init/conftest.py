"""A proposal that is written, and read back as training reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config, load_config
from multitask.data.samples import Samples
from multitask.init import Options, Proposal, propose


@dataclass(frozen=True)
class Written:
    """A config that was proposed and written, and what it reads."""

    proposal: Proposal
    config: Config
    samples: Samples

    @property
    def source(self) -> Any:
        return self.config.data.source

    def classes(self) -> dict[str, tuple[str, ...]]:
        return {task.name: task.classes for task in self.samples.space.tasks}

    def labels(self, image: str) -> dict[str, str | None]:
        """The names of an image's labels."""
        row = self.samples.images.tolist().index(image)
        tasks = zip(self.samples.space.tasks, self.samples.labels[row], strict=True)
        return {task.name: task.classes[label] if label >= 0 else None for task, label in tasks}


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Written]:
    """Proposes for a path, writes, loads, reads the data: ``written(path, pattern="{label}/{_}.jpg")``."""

    def make(path: Path, **options: Any) -> Written:
        file = tmp_path / "out" / "config.yaml"
        file.parent.mkdir(exist_ok=True)
        proposal = propose(path, file, Options(**options))
        assert all(path.suffix == ".part" for path in file.parent.iterdir())
        proposal.write(file)
        assert not list(file.parent.glob(".*"))
        config = load_config(file)
        return Written(proposal, config, config.data.source.samples(Path(config.data.root), config.space()))

    return make
