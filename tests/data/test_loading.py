"""Batches: everybody once an epoch, and the same whoever makes them."""

from __future__ import annotations

import gc
import multiprocessing
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from multitask.config import Config
from multitask.data.augment import Augmentation
from multitask.data.augment_settings import AugmentSettings
from multitask.data.batch import Inputs
from multitask.data.image_cache import ImageCache
from multitask.data.images import Preprocessing
from multitask.data.loading import Batches
from multitask.data.samples import Samples
from multitask.data.targets import Targets
from multitask.errors import UserError
from multitask.model.feature_rows import FeatureRows
from multitask.model.frozen_features import Features
from multitask.testing.samplers import make_samples

SIZE = (24, 18)


@pytest.fixture(scope="module")
def samples(tiny: Callable[..., Config]) -> Samples:
    config = tiny()
    return config.data.source.samples(Path(config.data.root), config.space())


@pytest.fixture(scope="module")
def images(samples: Samples) -> ImageCache:
    return ImageCache(samples.paths(), Preprocessing(SIZE))


def make(
    samples: Samples, images: Inputs, indices: np.ndarray | None = None, size: int = 16, **more: object
) -> Batches:
    # A sample's label is its own number, so that batches tell who is in them.
    labels = np.arange(len(samples))[:, None]
    learned = Targets(labels, np.full(labels.shape, np.nan, dtype=np.float32))
    chosen = np.arange(len(samples)) if indices is None else indices
    return Batches(samples, learned, images, chosen, size, **more)  # type: ignore[arg-type]


def who(batches: Batches, epoch: int) -> list[int]:
    return [int(label) for batch in batches.epoch(epoch) for label in batch.labels[:, 0]]


@pytest.mark.parametrize("size", [1, 16, 83, 84, 500])
@pytest.mark.parametrize("shuffle", [False, True])
def test_everybody_is_served_once_an_epoch(samples: Samples, images: ImageCache, size: int, shuffle: bool) -> None:
    batches = make(samples, images, size=size, shuffle=shuffle)
    served = who(batches, 1)
    assert sorted(served) == list(range(len(samples)))
    assert (served != sorted(served)) == shuffle
    sizes = [len(batch) for batch in batches.epoch(1)]
    assert len(sizes) == batches.num_batches
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


def test_only_the_chosen_are_served(samples: Samples, images: ImageCache) -> None:
    chosen = np.array([3, 50, 7, 11])
    assert who(make(samples, images, chosen), 0) == chosen.tolist()


def test_each_epoch_has_its_own_order_and_always_the_same(samples: Samples, images: ImageCache) -> None:
    batches = make(samples, images, shuffle=True, seed=4)
    first, second = who(batches, 1), who(batches, 2)
    assert first != second
    assert who(batches, 1) == first
    assert who(make(samples, images, shuffle=True, seed=4), 2) == second
    assert who(make(samples, images, shuffle=True, seed=5), 1) != first


def test_labelled_weights_are_those_of_the_batches_that_are_served(samples: Samples, images: ImageCache) -> None:
    rng = np.random.default_rng(0)
    labels = np.where(rng.random((len(samples), 2)) < 0.3, -1, 1)
    learned = Targets(labels, np.full(labels.shape, np.nan, dtype=np.float32))
    weighted = replace(samples, weights=rng.random(len(samples)).astype(np.float32))
    batches = Batches(weighted, learned, images, np.arange(len(samples)), 16, shuffle=True, seed=3)
    expected = [(batch.weights[:, None] * (batch.labels != -1)).sum(0) for batch in batches.epoch(2)]
    assert np.allclose(batches.labelled_weights(2), np.stack(expected))


def test_without_augmentation_the_images_are_as_they_are(samples: Samples, images: ImageCache) -> None:
    for batch in make(samples, images).epoch(0):
        for image, label in zip(batch.images, batch.labels[:, 0], strict=True):
            np.testing.assert_array_equal(image.numpy(), images[int(label)])


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int16])
@pytest.mark.parametrize("workers", [0, 2])
def test_features_are_served_in_the_images_place(samples: Samples, dtype: Any, workers: int) -> None:
    values = np.random.default_rng(0).normal(scale=100, size=(len(samples), 7)).astype(dtype)
    values.flags.writeable = False
    nothing = Augmentation(AugmentSettings(strength=0))
    batches = make(samples, Features([values], FeatureRows(7)), shuffle=True, augmentation=nothing, workers=workers)
    for batch in batches.epoch(1):
        np.testing.assert_array_equal(batch.images.numpy(), values[batch.labels[:, 0].numpy()])
        assert batch.images.numpy().dtype == dtype


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_drawn_of_each_sample_depends_on_epoch_and_seed_alone(
    samples: Samples, images: ImageCache, workers: int
) -> None:
    def drawn(epoch: int, seed: int = 3) -> list[float]:
        def draw(indices: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
            return 10 * indices + np.random.default_rng(seed).integers(10, size=len(indices))

        batches = make(samples, images, shuffle=True, seed=seed, draw=draw, workers=workers)
        found = torch.cat([batch.images for batch in batches.epoch(epoch)])
        assert sorted((found // 10).tolist()) == list(range(len(samples)))
        return sorted(found.tolist())

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(1)), tuple(drawn(2)), tuple(drawn(1, seed=4))}) == 3


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_batches_do_not_depend_on_who_makes_them(samples: Samples, cache: str) -> None:
    found = []
    for workers in (0, 1, 2):
        batches = make(
            samples,
            ImageCache(samples.paths(), Preprocessing(SIZE), cache),  # type: ignore[arg-type]
            shuffle=True,
            seed=1,
            workers=workers,
            augmentation=Augmentation(AugmentSettings(strength=0.8)),
        )
        epochs = [batch for epoch in (1, 2) for batch in batches.epoch(epoch)]
        found.append((torch.cat([b.images for b in epochs]), torch.cat([b.labels for b in epochs])))
    for images, labels in found[1:]:
        assert torch.equal(images, found[0][0])
        assert torch.equal(labels, found[0][1])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_image_is_named_as_it_is(samples: Samples, tmp_path: Path, workers: int) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"nothing")
    paths = list(samples.paths())
    paths[40] = bad
    batches = make(samples, ImageCache(paths, Preprocessing(SIZE), "none"), workers=workers)
    # Kept in no variable: the error would hold this frame, and it the workers, longer than they can be told to stop.
    with pytest.raises(UserError, match=f"^{re.escape(str(bad))}: cannot be read as an image: not an image$"):
        who(batches, 1)


def test_workers_stop_with_the_error_that_ends_an_epoch(samples: Samples, tmp_path: Path) -> None:
    def fail() -> None:
        paths = [tmp_path / "none.jpg" for _ in samples.paths()]
        who(make(samples, ImageCache(paths, Preprocessing(SIZE), "none"), workers=2), 1)

    before = set(multiprocessing.active_children())
    gc.collect()
    gc.disable()  # what is held by no one is gone at once, not when the collector comes by
    try:
        try:
            fail()
        except UserError as error:
            assert "none.jpg" in str(error)  # noqa: PT017
        assert set(multiprocessing.active_children()) <= before
    finally:
        gc.enable()


def test_an_epoch_that_is_left_early_leaves_no_thread(samples: Samples, images: ImageCache) -> None:
    def makers() -> list[threading.Thread]:
        # Others' threads, as those of workers that were told to stop, may end at any moment.
        return [thread for thread in threading.enumerate() if thread.name == "batches"]

    assert makers() == []
    epoch = make(samples, images, size=2).epoch(1)
    next(epoch)
    (maker,) = makers()
    epoch.close()  # type: ignore[attr-defined]
    maker.join(timeout=60)
    assert makers() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_after_an_epoch_that_was_left_early_the_next_is_whole(
    samples: Samples, images: ImageCache, workers: int
) -> None:
    batches = make(samples, images, size=4, shuffle=True, workers=workers)
    left = batches.epoch(1)
    next(left)
    left.close()  # type: ignore[attr-defined]
    assert who(batches, 2) == who(make(samples, images, size=4, shuffle=True), 2)


def test_what_breaks_in_the_thread_is_raised(samples: Samples, images: ImageCache) -> None:
    def broken(images: object, seed: int, sources: object, num_before: int) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        who(make(samples, images, augmentation=broken), 1)


def test_workers_draw_nothing_from_torchs_generator() -> None:
    """Else dropout would depend on their number, and on whether a run was resumed."""
    samples = make_samples([[0, 0]] * 8)
    targets = Targets(np.zeros((8, 1), dtype=np.int64), np.full((8, 1), np.nan, dtype=np.float32))
    batches = Batches(samples, targets, np.zeros((8, 1, 1, 3), dtype=np.uint8), np.arange(8), 4, workers=1)
    before = torch.get_rng_state()
    assert len(list(batches.epoch(1))) == 2
    assert torch.equal(torch.get_rng_state(), before)
    assert [batch.labels.tolist() for batch in batches.epoch(1, 1)] == [[[0]] * 4]  # the rest of an epoch
