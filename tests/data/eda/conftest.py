"""A drawn set into which copies are planted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from multitask.data.samples import Samples
from multitask.data.sources.synthetic import SyntheticSettings
from multitask.labels import LabelSettings

LABELS = {
    "tasks": {
        "mask": {"classes": ["wear", "incorrect", "not_worn"]},
        "gender": {"classes": ["male", "female"]},
        "age": {"kind": "binned", "edges": [30, 60]},
    }
}


class Planted:
    """A copy of the drawn set, whose people are known by their place in the order of their folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._people = sorted(path for path in (root / "train" / "images").iterdir() if path.is_dir())

    def group(self, person: int) -> str:
        return self._people[person].name

    def file(self, person: int, stem: str = "normal") -> Path:
        return next(path for path in self._people[person].iterdir() if path.stem == stem)

    def plant(self, source: int, target: int, change: Callable[[Image.Image], Image.Image] | None, stem: str) -> None:
        """One person's image in the place of another's: the file itself, or changed and encoded again."""
        old, new = self.file(target, stem), self.file(source, stem)
        old.unlink()
        if change is None:
            shutil.copy(new, old.with_suffix(new.suffix))
        else:
            with Image.open(new) as image:
                change(image.convert("RGB")).save(old.with_suffix(".jpg"), quality=60)

    def samples(self) -> Samples:
        space = LabelSettings.model_validate(LABELS).space()
        return SyntheticSettings().samples(self.root, space)


@pytest.fixture
def planted(drawn: Path, tmp_path: Path) -> Planted:
    root = tmp_path / "planted"
    shutil.copytree(drawn, root)
    return Planted(root)
