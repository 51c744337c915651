"""Augmentation: nothing at strength 0, everything rising with it, the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from multitask.data.augment import FAMILIES, Augmentation, transforms
from multitask.data.augment_settings import SHARES, AugmentSettings

import albumentations as A  # isort: skip  (after augment, which keeps it from the network)

OFF = dict.fromkeys(FAMILIES, 0.0)


@pytest.fixture
def images() -> list[np.ndarray]:
    """Smooth images: in pure noise a shift would be as large as a turn."""
    y, x = np.mgrid[0:48, 0:36]
    return [
        np.stack([120 + 80 * np.sin((x + 7 * n) / 6), 120 + 80 * np.cos(y / 7 + n), (x * 3 + y * 2 + n) % 256], axis=2)
        .clip(0, 255)
        .astype(np.uint8)
        for n in range(24)
    ]


def only(family: str, strength: float, **more: Any) -> AugmentSettings:
    return AugmentSettings(strength=strength, **{**OFF, family: 1.0}, **more)


def changed(settings: AugmentSettings, images: list[np.ndarray], seeds: range = range(8)) -> float:
    """How far pixels move, on average."""
    augmentation, before = Augmentation(settings), np.stack(images).astype(int)
    return float(np.mean([np.abs(augmentation(images, seed).astype(int) - before).mean() for seed in seeds]))


def spread(value: Any) -> list[float]:
    """How far apart the numbers of a transform's parameter are, and how far they are from doing nothing."""
    if isinstance(value, dict):
        return [item for key in sorted(value) for item in spread(value[key])]
    if isinstance(value, (tuple, list)) and all(isinstance(item, (int, float)) for item in value):
        return [max(value) - min(value)]
    return []


@pytest.mark.parametrize("shares", [{}, {"geometry": 3.0, "noise": 0.2}])
def test_strength_0_is_exactly_the_evaluation_pipeline(images: list[np.ndarray], shares: dict[str, float]) -> None:
    settings = AugmentSettings(strength=0.0, **shares)
    assert transforms(settings) == []
    np.testing.assert_array_equal(Augmentation(settings)(images, 5), np.stack(images))


def test_every_family_has_a_share() -> None:
    assert tuple(FAMILIES) == SHARES


@pytest.mark.parametrize("family", FAMILIES)
class TestEveryFamily:
    def test_probabilities_and_magnitudes_rise_with_strength(self, family: str) -> None:
        before: list[tuple[float, list[float]]] | None = None
        for strength in np.linspace(0.05, 1, 20):
            now = []
            for transform in transforms(only(family, float(strength))):
                settings = transform.to_dict()["transform"]
                probability = settings.pop("p")
                assert 0 < probability <= 1
                now.append((probability, spread(settings)))
            assert now
            if before is not None:
                assert len(now) == len(before)
                for (p, ranges), (p_before, ranges_before) in zip(now, before, strict=True):
                    assert p >= p_before
                    assert all(a >= b - 1e-9 for a, b in zip(ranges, ranges_before, strict=True))
            before = now
        assert before is not None
        weak = [t.to_dict()["transform"] for t in transforms(only(family, 0.05))]
        strong = [t.to_dict()["transform"] for t in transforms(only(family, 1.0))]
        assert all(b["p"] > a["p"] for a, b in zip(weak, strong, strict=True))

    def test_images_move_further_with_strength(self, family: str, images: list[np.ndarray]) -> None:
        moved = [changed(only(family, strength), images) for strength in (0.0, 0.3, 0.65, 1.0)]
        assert moved[0] == 0
        assert moved == sorted(moved)
        assert moved[1] > 0
        assert moved[3] > 2 * moved[1]

    def test_its_share_is_its_own_strength(self, family: str, images: list[np.ndarray]) -> None:
        full = only(family, 0.5)
        half = AugmentSettings(strength=1.0, **{**OFF, family: 0.5})
        for seed in range(3):
            np.testing.assert_array_equal(Augmentation(full)(images, seed), Augmentation(half)(images, seed))

    def test_a_share_beyond_1_stops_at_full_strength(self, family: str) -> None:
        full, beyond = (
            [t.to_dict() for t in transforms(AugmentSettings(strength=1.0, **{**OFF, family: share}))]
            for share in (1.0, 5.0)
        )
        assert full == beyond

    def test_share_0_removes_it(self, family: str) -> None:
        everything = {type(t).__name__ for t in transforms(AugmentSettings(strength=1.0))}
        rest = {type(t).__name__ for t in transforms(AugmentSettings(strength=1.0, **{family: 0.0}))}
        own = {type(t).__name__ for t in transforms(only(family, 1.0))}
        assert own
        assert rest == everything - own


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"strength": 0}, False),
        (OFF, False),
        ({**OFF, "noise": 0.1}, True),
        ({"strength": 0, "mix": {"mixup_prob": 0.1}}, True),
        ({"strength": 0, "mix": {"cutmix_prob": 0.1}}, True),
        ({"strength": 0, "mix": {"mixup_alpha": 3.0}}, False),
    ],
)
def test_whether_anything_changes_an_image(settings: dict[str, Any], expected: bool) -> None:
    assert AugmentSettings.model_validate(settings).changes_images is expected


def test_flip_can_be_left_out() -> None:
    names = [type(t).__name__ for t in transforms(AugmentSettings(strength=1.0, flip=False))]
    assert "HorizontalFlip" not in names
    assert "Affine" in names


class TestFlipsAlone:
    SETTINGS = AugmentSettings(strength=1.0, flip="alone", **{**OFF, "geometry": 1.0})

    def changed(self, **changes: Any) -> AugmentSettings:
        return self.SETTINGS.model_copy(update=changes)

    def test_every_image_is_as_it_was_or_its_mirror_image(self, images: list[np.ndarray]) -> None:
        augmentation, before = Augmentation(self.SETTINGS), np.stack(images)
        flipped = []
        for seed in range(40):
            for old, new in zip(before, augmentation(before, seed), strict=True):
                flipped.append(not np.array_equal(old, new))
                np.testing.assert_array_equal(new, old[:, ::-1] if flipped[-1] else old)
        assert np.mean(flipped) == pytest.approx(0.5, abs=0.07)
        np.testing.assert_array_equal(before, np.stack(images))  # the input is not written to

    def test_they_are_as_often_as_beside_other_transforms(self) -> None:
        for strength in (0.1, 0.3, 0.8):
            [alone] = transforms(self.changed(strength=strength))
            assert alone.to_dict() == transforms(self.changed(strength=strength, flip=True))[0].to_dict()
        assert transforms(self.changed(geometry=0.0)) == []

    def test_the_same_seed_gives_the_same_flips_and_another_others(self, images: list[np.ndarray]) -> None:
        augmentation = Augmentation(self.SETTINGS)
        np.testing.assert_array_equal(augmentation(images, 3), augmentation(np.stack(images), 3))
        assert (augmentation(images, 3) != augmentation(images, 4)).any()

    def test_other_families_are_done_beside_them(self) -> None:
        names = [type(t).__name__ for t in transforms(self.changed(noise=1.0))]
        assert names == ["HorizontalFlip", "GaussianBlur", "GaussNoise", "ImageCompression"]


def test_the_same_seed_gives_the_same_batch_and_another_another(images: list[np.ndarray]) -> None:
    first, second = Augmentation(AugmentSettings(strength=0.8)), Augmentation(AugmentSettings(strength=0.8))
    first(images, 99)  # what came before does not matter
    np.testing.assert_array_equal(first(images, 3), second(images, 3))
    assert (first(images, 3) != first(images, 4)).any()


def test_transforms_draw_independently(images: list[np.ndarray]) -> None:
    """Blur, noise and compression of one family do not all happen to the same images."""
    augmentation = Augmentation(only("noise", 1.0))
    touched = [(augmentation(images[:1], seed)[0] != images[0]).any() for seed in range(200)]
    alone = 0.3  # each of the three transforms
    assert np.mean(touched) == pytest.approx(1 - (1 - alone) ** 3, abs=0.12)


def test_shape_type_and_input_are_kept(images: list[np.ndarray]) -> None:
    before = [image.copy() for image in images]
    found = Augmentation(AugmentSettings(strength=1.0))(images, 0)
    assert found.shape == (24, 48, 36, 3)
    assert found.dtype == np.uint8
    for image, kept in zip(images, before, strict=True):
        np.testing.assert_array_equal(image, kept)


class TestASourcesOwnStrength:
    SOURCES = np.array(["ones", "twos"] * 12, dtype=object)

    def test_changes_its_images_alone(self, images: list[np.ndarray]) -> None:
        augmentation = Augmentation(AugmentSettings(strength=0.0), {"twos": AugmentSettings(strength=0.9)})
        found = augmentation(np.stack(images), 3, self.SOURCES)
        same = (found == np.stack(images)).all(axis=(1, 2, 3))
        assert same[::2].all()
        assert same[1::2].sum() < 4

    def test_may_be_none(self, images: list[np.ndarray]) -> None:
        augmentation = Augmentation(AugmentSettings(strength=0.9), {"twos": AugmentSettings(strength=0.0)})
        found = augmentation(np.stack(images), 3, self.SOURCES)
        assert (found[1::2] == np.stack(images)[1::2]).all()
        assert (found[::2] != np.stack(images)[::2]).any(axis=(1, 2, 3)).sum() > 8
        np.testing.assert_array_equal(found, augmentation(np.stack(images), 3, self.SOURCES))

    def test_of_no_source_in_the_batch_leaves_it_as_it_would_be(self, images: list[np.ndarray]) -> None:
        settings = AugmentSettings(strength=0.5)
        with_own = Augmentation(settings, {"threes": AugmentSettings(strength=0.0)})
        np.testing.assert_array_equal(with_own(images, 3, self.SOURCES), Augmentation(settings)(images, 3))


PARTS = [slice(0, 9), slice(9, 10), slice(10, 24)]


class TestTheEndOfABatch:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_is_changed_as_in_the_whole(self, family: str, images: list[np.ndarray]) -> None:
        augmentation = Augmentation(only(family, 1.0))
        for seed in range(4):
            whole = augmentation(images, seed)
            parts = [augmentation(images[rows], seed, num_before=rows.start) for rows in PARTS]
            np.testing.assert_array_equal(np.concatenate(parts), whole)
            np.testing.assert_array_equal(augmentation(images, seed), whole)  # and nothing is left behind

    @pytest.mark.parametrize("settings", [AugmentSettings(strength=0.9), TestFlipsAlone.SETTINGS])
    @pytest.mark.parametrize(
        "own", [{}, {"twos": AugmentSettings(strength=0.5)}, {"ones": AugmentSettings(strength=0.0)}]
    )
    def test_of_several_sources_too(
        self, settings: AugmentSettings, own: dict[str, AugmentSettings], images: list[np.ndarray]
    ) -> None:
        sources = np.array(["ones", "twos", "twos"] * 8, dtype=object)
        augmentation = Augmentation(settings, own)
        whole = augmentation(images, 3, sources)
        parts = [augmentation(images[rows], 3, sources[: rows.stop], rows.start) for rows in PARTS]
        np.testing.assert_array_equal(np.concatenate(parts), whole)

    def test_does_not_change_the_images_before(self, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[np.ndarray] = []
        apply = A.Affine.apply

        def counted(transform: Any, img: np.ndarray, **params: Any) -> np.ndarray:
            seen.append(img)
            return apply(transform, img, **params)

        monkeypatch.setattr(A.Affine, "apply", counted)
        Augmentation(only("geometry", 1.0, flip=False))(images[20:], 0, num_before=20)  # always turned at this strength
        assert len(seen) == 4
