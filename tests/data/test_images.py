"""From files to pixels: every mode upright at the right size, scaled decoding true to full decoding, damage named."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from multitask.data.crop import AnyCrop, CentreSettings
from multitask.data.images import Preprocessing, _cover, pixels_key
from multitask.data.pictures import Pictures, SharedPixels
from multitask.errors import UserError
from multitask.files import content_digest
from multitask.settings import variant_classes

SIZE = (48, 36)  # height, width


def portrait(width: int = 96, height: int = 128) -> Image.Image:
    """A smooth picture whose four quarters differ: red, green, blue and grey, on a slope."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.zeros((height, width, 3))
    pixels[..., 0] = 200 * ((x < width / 2) & (y < height / 2)) + 40 * y / height
    pixels[..., 1] = 200 * ((x >= width / 2) & (y < height / 2)) + 40 * x / width
    pixels[..., 2] = 200 * ((x < width / 2) & (y >= height / 2))
    return Image.fromarray(pixels.astype(np.uint8))


def saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


class TestLoad:
    @pytest.mark.parametrize(
        ("mode", "extension"),
        [
            ("RGB", "jpg"),
            ("L", "jpg"),
            ("CMYK", "jpg"),
            ("RGB", "png"),
            ("L", "png"),
            ("RGBA", "png"),
            ("P", "png"),
            ("P", "gif"),
            ("1", "png"),
        ],
    )
    def test_every_mode_is_rgb_of_the_right_size(self, tmp_path: Path, mode: str, extension: str) -> None:
        path = saved(portrait().convert(mode), tmp_path / f"x.{extension}")
        pixels = Preprocessing(SIZE).load(path)
        assert pixels.shape == (*SIZE, 3)
        assert pixels.dtype == np.uint8
        if mode != "1":
            grey = np.asarray(portrait().convert("L").resize(SIZE[::-1], Image.Resampling.BOX)).astype(float)
            assert abs(np.asarray(Image.fromarray(pixels).convert("L")) - grey).mean() < 6

    def test_16_bits_are_scaled_not_cut(self, tmp_path: Path) -> None:
        deep = np.full((64, 48), 0x8000, dtype=np.uint16)
        path = saved(Image.fromarray(deep), tmp_path / "x.png")
        assert (Preprocessing(SIZE).load(path) == 128).all()

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_rotation_in_exif_is_applied(self, tmp_path: Path, orientation: int) -> None:
        upright = Preprocessing(SIZE).load(saved(portrait(), tmp_path / "upright.png"))
        undo = {
            1: [], 2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180],
            4: [Image.Transpose.FLIP_TOP_BOTTOM], 5: [Image.Transpose.TRANSPOSE], 6: [Image.Transpose.ROTATE_90],
            7: [Image.Transpose.TRANSVERSE], 8: [Image.Transpose.ROTATE_270],
        }[orientation]  # fmt: skip
        stored = portrait()
        for step in undo:
            stored = stored.transpose(step)
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = saved(stored, tmp_path / "x.jpg", exif=exif, quality=95)
        assert np.abs(Preprocessing(SIZE).load(path).astype(int) - upright).mean() < 6

    @pytest.mark.parametrize("size", [(128, 96), (64, 48), (32, 24), (100, 75), (40, 40), (24, 48), (200, 150)])
    def test_scaled_decoding_is_true_to_full_decoding(self, tmp_path: Path, size: tuple[int, int]) -> None:
        image = portrait(192, 256)
        scaled = Preprocessing(size).load(saved(image, tmp_path / "x.jpg", quality=95))
        full = Preprocessing(size).load(saved(image, tmp_path / "x.png"))
        assert np.abs(scaled.astype(int) - full).mean() < 4

    def test_covers_and_cuts_evenly_without_stretching(self, tmp_path: Path) -> None:
        """A disc stays a disc, in the middle, in a target of another shape."""
        y, x = np.mgrid[0:120, 0:200]
        disc = (((x - 99.5) ** 2 + (y - 59.5) ** 2) < 30**2).astype(np.uint8) * 255
        path = saved(Image.fromarray(disc), tmp_path / "x.png")
        found = Preprocessing((60, 60)).load(path)[..., 0] > 127
        height, width = found.any(axis=1).sum(), found.any(axis=0).sum()
        assert height == width == 30
        assert np.argwhere(found).mean(axis=0) == pytest.approx([29.5, 29.5], abs=0.5)

    def test_crop_takes_the_part_that_it_names(self, tmp_path: Path) -> None:
        path = saved(portrait(), tmp_path / "x.png")
        for (left, top), channel in {(0.0, 0.0): 0, (0.5, 0.0): 1, (0.0, 0.5): 2}.items():
            crop = CentreSettings(left=left, top=top, right=left + 0.5, bottom=top + 0.5)
            pixels = Preprocessing(SIZE, crop).load(path)
            assert pixels[4:-4, 4:-4, channel].min() > 150
            assert pixels[4:-4, 4:-4, [c for c in range(3) if c != channel]].max() < 60

    @pytest.mark.parametrize("name", variant_classes(AnyCrop))
    def test_every_crop_gives_a_box_inside_the_picture(self, name: str) -> None:
        left, top, right, bottom = variant_classes(AnyCrop)[name]().box()  # type: ignore[attr-defined]
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1

    @pytest.mark.parametrize(
        ("width", "height", "size"),
        [(409, 352, (197, 81)), (593, 394, (160, 226)), (474, 433, (231, 370)), (1, 500, (48, 36)), (500, 1, (48, 36))],
    )
    def test_no_shape_is_refused_for_a_rounding(
        self, tmp_path: Path, width: int, height: int, size: tuple[int, int]
    ) -> None:
        path = saved(Image.new("RGB", (width, height), (10, 20, 30)), tmp_path / "x.png")
        assert (Preprocessing(size).load(path) == (10, 20, 30)).all()

    @given(st.integers(1, 2000), st.integers(1, 2000), st.integers(8, 600), st.integers(8, 600))
    @settings(deadline=None, max_examples=300)
    def test_the_box_that_covers_is_in_the_picture_its_middle_and_the_targets_shape(
        self, width: int, height: int, target_width: int, target_height: int
    ) -> None:
        left, top, right, bottom = _cover(width, height, (0.0, 0.0, 1.0, 1.0), target_width / target_height)
        assert left >= 0
        assert top >= 0
        assert right <= width  # not by a bit more: Pillow would refuse the picture
        assert bottom <= height
        assert (right - left) / (bottom - top) == pytest.approx(target_width / target_height)
        assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((width / 2, height / 2))
        assert min(left, top) == pytest.approx(0, abs=1e-9)  # the largest such box

    def test_a_palette_with_see_through_colours_is_read_without_a_warning(self, tmp_path: Path) -> None:
        palette = portrait().quantize(16)
        path = saved(palette, tmp_path / "x.png", transparency=bytes([0, 128]) + bytes([255] * 14))
        plain = saved(palette, tmp_path / "plain.png")
        np.testing.assert_array_equal(Preprocessing(SIZE).load(path), Preprocessing(SIZE).load(plain))

    @pytest.mark.parametrize("progressive", [False, True])
    @pytest.mark.parametrize("share", [0.4, 0.9, 0.99])
    def test_a_jpeg_cut_off_late_is_not_read_in_part(self, tmp_path: Path, share: float, progressive: bool) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (256, 192, 3), dtype=np.uint8)
        path = saved(Image.fromarray(noise), tmp_path / "x.jpg", progressive=progressive)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        with pytest.raises(UserError, match=r"x\.jpg: cannot be read as a picture: image file is truncated"):
            Preprocessing(SIZE).load(path)

    @pytest.mark.parametrize("extension", ["jpg", "png"])
    @pytest.mark.parametrize("keep", [0, 10, 300])
    def test_damage_is_named(self, tmp_path: Path, extension: str, keep: int) -> None:
        stream = io.BytesIO()
        portrait().save(stream, {"jpg": "JPEG", "png": "PNG"}[extension])
        path = tmp_path / f"x.{extension}"
        path.write_bytes(stream.getvalue()[:keep])
        with pytest.raises(UserError, match=r"x\.(jpg|png): cannot be read as a picture: \S+") as caught:
            Preprocessing(SIZE).load(path)
        assert "\n" not in str(caught.value)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"x\.jpg: no such file"):
            Preprocessing(SIZE).load(tmp_path / "x.jpg")


class TestNormalise:
    def test_is_the_pretrained_mean_and_deviation(self) -> None:
        import torch

        mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
        images = torch.randint(0, 256, (2, 4, 3, 3), dtype=torch.uint8)
        found = Preprocessing((4, 3), None, mean, std).normalise(images)
        expected = (images.permute(0, 3, 1, 2) / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(
            3, 1, 1
        )
        torch.testing.assert_close(found, expected)
        assert found.is_contiguous(memory_format=torch.channels_last)


class TestPictures:
    @pytest.fixture
    def paths(self, tmp_path: Path) -> list[Path]:
        return [saved(portrait(60 + index, 80), tmp_path / f"{index}.jpg") for index in range(5)]

    def test_in_memory_or_not_they_are_the_same(self, paths: list[Path]) -> None:
        kept, read = (Pictures(paths, Preprocessing(SIZE), cache) for cache in ("memory", "none"))
        assert len(kept) == len(read) == 5
        for index in range(5):
            np.testing.assert_array_equal(kept[index], read[index])

    def test_in_memory_they_outlive_their_files(self, paths: list[Path]) -> None:
        kept = Pictures(paths, Preprocessing(SIZE), "auto")
        paths[2].unlink()
        assert kept[2].shape == (*SIZE, 3)

    def test_auto_leaves_files_where_memory_is_short(self, paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
        class Memory:
            available = 5 * SIZE[0] * SIZE[1] * 3 * 2 - 1

        monkeypatch.setattr("multitask.data.pictures.psutil.virtual_memory", Memory)
        read = Pictures(paths, Preprocessing(SIZE), "auto")
        paths[2].unlink()
        with pytest.raises(UserError, match="no such file"):
            read[2]

    def test_progress_counts_every_picture(self, paths: list[Path]) -> None:
        seen: list[int] = []
        Pictures(paths, Preprocessing(SIZE), "memory", seen.append)
        assert seen == [1, 2, 3, 4, 5]

    def test_the_first_bad_file_is_named(self, paths: list[Path]) -> None:
        paths[3].write_bytes(b"nothing")
        with pytest.raises(UserError, match=r"3\.jpg"):
            Pictures(paths, Preprocessing(SIZE), "memory")


class TestSharedPictures:
    @pytest.fixture
    def paths(self, tmp_path: Path) -> list[Path]:
        return [saved(portrait(60 + index, 80), tmp_path / f"{index}.jpg") for index in range(5)]

    @pytest.fixture
    def shared(self, paths: list[Path], tmp_path: Path) -> SharedPixels:
        return SharedPixels(tmp_path / "reuse", [content_digest(path) for path in paths])

    @pytest.mark.parametrize("cache", ["memory", "auto"])
    def test_they_are_the_same_and_read_once(
        self, paths: list[Path], shared: SharedPixels, cache: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[int] = []
        plain = Pictures(paths, Preprocessing(SIZE), "memory")
        first = Pictures(paths, Preprocessing(SIZE), cache, seen.append, shared)
        assert seen == [1, 2, 3, 4, 5]
        monkeypatch.setattr(Preprocessing, "load", None)
        again = Pictures(paths, Preprocessing(SIZE), cache, seen.append, shared)
        assert len(seen) == len(first) == len(again) == 5
        for index in range(5):
            np.testing.assert_array_equal(first[index], plain[index])
            np.testing.assert_array_equal(again[index], plain[index])
            assert not again[index].flags.writeable

    def test_memory_that_is_short_does_not_matter(
        self, paths: list[Path], shared: SharedPixels, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Memory:
            available = 0

        monkeypatch.setattr("multitask.data.pictures.psutil.virtual_memory", Memory)
        kept = Pictures(paths, Preprocessing(SIZE), "auto", None, shared)
        paths[2].unlink()
        assert kept[2].shape == (*SIZE, 3)

    def test_without_a_cache_nothing_is_kept(self, paths: list[Path], shared: SharedPixels) -> None:
        read = Pictures(paths, Preprocessing(SIZE), "none", None, shared)
        assert read[0].shape == (*SIZE, 3)
        assert not shared.folder.exists()

    def test_a_picture_that_changes_while_all_are_read_is_named_and_nothing_is_kept(
        self, paths: list[Path], shared: SharedPixels
    ) -> None:
        def change(done: int) -> None:
            if done == 5:
                saved(portrait(99, 80), paths[1])

        with pytest.raises(UserError, match=r"1\.jpg: changed while the pictures were read"):
            Pictures(paths, Preprocessing(SIZE), "auto", change, shared)
        assert list(shared.folder.glob("*.npy")) == []

    def test_a_bad_file_is_named_and_nothing_is_kept(self, paths: list[Path], tmp_path: Path) -> None:
        paths[3].write_bytes(b"nothing")
        shared = SharedPixels(tmp_path / "reuse", [content_digest(path) for path in paths])
        with pytest.raises(UserError, match=r"3\.jpg: cannot be read as a picture"):
            Pictures(paths, Preprocessing(SIZE), "auto", None, shared)
        assert list(shared.folder.glob("*.npy")) == []


class TestPixelsKey:
    def test_is_another_for_other_pixels_and_for_no_others(self) -> None:
        whole = CentreSettings()
        same = [
            pixels_key([b"a", b"b"], preprocessing)
            for preprocessing in (
                Preprocessing(SIZE),
                Preprocessing(SIZE, whole),
                Preprocessing(SIZE, None, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)),  # which are applied later
            )
        ]
        others = [
            pixels_key([b"b", b"a"], Preprocessing(SIZE)),
            pixels_key([b"a"], Preprocessing(SIZE)),
            pixels_key([b"a", b"c"], Preprocessing(SIZE)),
            pixels_key([b"a", b"b"], Preprocessing(SIZE[::-1])),
            pixels_key([b"a", b"b"], Preprocessing(SIZE, CentreSettings(left=0.1))),
        ]
        assert len(set(same)) == 1
        assert len({*same, *others}) == 6

    @pytest.mark.parametrize("name", ["_VERSION", "version"])
    def test_is_another_for_another_decoder(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        before = pixels_key([b"a"], Preprocessing(SIZE))
        monkeypatch.setattr(f"multitask.data.images.{name}", {"_VERSION": -1, "version": lambda package: "0"}[name])
        assert pixels_key([b"a"], Preprocessing(SIZE)) != before
