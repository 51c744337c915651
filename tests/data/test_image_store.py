"""Where images are kept, and that they are the same wherever that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multitask.config import Config
from multitask.data.dataset import Dataset
from multitask.data.image_store import ImageStore
from multitask.errors import UserError
from multitask.progress import Progress

MakeStore = Callable[..., ImageStore]


@pytest.fixture
def make(tiny: Callable[..., Config], tmp_path: Path) -> MakeStore:
    """Makes the store of the drawn set: ``make({"data.cache": "disk"})``."""

    def store(changes: dict[str, Any] | None = None, reuse: Path | None = None) -> ImageStore:
        config = tiny({"data.cache_dir": str(tmp_path / "kept"), "data.cache": "disk", **(changes or {})})
        dataset = Dataset.read(config.data, config.space(), config.seed)
        return ImageStore(config.data, dataset.samples, config.data.preprocessing(((0.5,) * 3, (0.5,) * 3)), reuse)

    return store


def files(folder: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in folder.glob("*.npy"))


@pytest.mark.parametrize("cache", ["disk", "memory", "none"])
def test_images_are_the_same_wherever_they_are_kept(make: MakeStore, tmp_path: Path, cache: str) -> None:
    folder = {} if cache == "disk" else {"data.cache_dir": None}
    store = make({"data.cache": cache, **folder})
    chosen = np.array([5, 0, 83])
    taken = store.images(Progress()).take(chosen)
    for pixels, index in zip(taken, chosen, strict=True):
        np.testing.assert_array_equal(pixels, store.image(index, Progress()))
    assert store.images(Progress()) is store.images(Progress())
    assert files(tmp_path / "kept") == (["pixels"] if cache == "disk" else [])


@pytest.mark.parametrize(("cache", "expected"), [("auto", "disk"), ("memory", "disk"), ("none", "none")])
def test_a_folder_for_other_runs_is_used_where_images_would_be_kept_in_memory(
    make: MakeStore, tmp_path: Path, cache: str, expected: str
) -> None:
    store = make({"data.cache": cache, "data.cache_dir": None}, reuse=tmp_path / "reuse")
    assert store.cache == expected
    store.images(Progress())
    assert files(tmp_path / "reuse") == (["pixels"] if expected == "disk" else [])


def test_the_key_is_that_of_the_pixels(make: MakeStore) -> None:
    key = make().pixels_key(Progress())
    assert key == make({"data.cache": "none", "data.cache_dir": None}).pixels_key(Progress())
    assert key != make({"data.image_size": [24, 24]}).pixels_key(Progress())


def test_facts_are_those_of_the_images_asked_for(make: MakeStore) -> None:
    found = make().facts(np.arange(4), Progress())
    assert found.fit is not None
    assert found.crop is None
    assert found.first_frames is None


def test_boxes_that_the_source_does_not_have_are_missed(make: MakeStore) -> None:
    assert make().boxes(Progress()) is None
    with pytest.raises(UserError, match=r"^data\.crop\.name: is box, but the images in .* have no boxes"):
        make({"data.crop": "box"}).boxes(Progress())
