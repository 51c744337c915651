"""From files to pixels: every mode upright at the right size, scaled decoding true to full decoding, damage named."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from multitask.data.crop import BoxSettings, CentreSettings, WholeSettings
from multitask.data.fit import crop_box
from multitask.data.images import Preprocessing, pixels_key
from multitask.errors import UserError

SIZE = (48, 36)  # height, width


def portrait(width: int = 96, height: int = 128) -> Image.Image:
    """A smooth image whose four quarters differ: red, green, blue and grey, on a slope."""
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
            ("LA", "png"),
            ("CMYK", "tif"),
            ("RGB", "webp"),
            ("RGBA", "webp"),
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

    def test_16_bits_of_colour_are_scaled(self, tmp_path: Path) -> None:
        path = tmp_path / "x.png"
        assert cv2.imwrite(str(path), np.full((64, 48, 3), 0x8000, dtype=np.uint16))
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

    def test_a_rotation_that_only_xmp_says_is_applied_in_a_file_and_in_memory(self, tmp_path: Path) -> None:
        upright = Preprocessing(SIZE).load(saved(portrait(), tmp_path / "upright.png"))
        path = tmp_path / "x.jpg"
        xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
        portrait().transpose(Image.Transpose.ROTATE_90).save(path, quality=95, xmp=xmp)
        assert np.abs(Preprocessing(SIZE).load(path).astype(int) - upright).mean() < 6
        with Image.open(path) as image:
            assert np.abs(Preprocessing(SIZE).convert(image, "x").astype(int) - upright).mean() < 6

    @pytest.mark.parametrize("mode", ["L", "CMYK"])
    def test_a_rotation_is_applied_in_every_mode(self, tmp_path: Path, mode: str) -> None:
        upright = Preprocessing(SIZE).load(saved(portrait().convert(mode), tmp_path / "upright.jpg", quality=95))
        exif = Image.Exif()
        exif[0x0112] = 6
        stored = portrait().transpose(Image.Transpose.ROTATE_90).convert(mode)
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
    def test_the_box_that_covers_is_in_the_image_its_middle_and_the_targets_shape(
        self, width: int, height: int, target_width: int, target_height: int
    ) -> None:
        left, top, right, bottom = crop_box(width, height, (0.0, 0.0, 1.0, 1.0), target_width / target_height)
        assert left >= 0
        assert top >= 0
        assert right <= width  # not by a bit more: Pillow would refuse the image
        assert bottom <= height
        assert (right - left) / (bottom - top) == pytest.approx(target_width / target_height)
        assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((width / 2, height / 2))
        assert min(left, top) == pytest.approx(0, abs=1e-9)  # the largest such box

    def test_a_palette_with_see_through_colours_is_read_on_white_and_without_a_warning(self, tmp_path: Path) -> None:
        palette = portrait().quantize(16)
        path = saved(palette, tmp_path / "x.png", transparency=bytes([0, 128]) + bytes([255] * 14))
        indices = np.asarray(palette)[..., None]
        expected = np.asarray(palette.convert("RGB")).astype(float)
        expected = np.where(indices == 0, 255, np.where(indices == 1, (expected * 128 + 255 * 127) / 255, expected))
        pixels = Preprocessing((palette.height, palette.width)).load(path)
        np.testing.assert_allclose(pixels, expected, atol=1)

    @pytest.mark.parametrize("progressive", [False, True])
    @pytest.mark.parametrize("share", [0.4, 0.9, 0.99])
    def test_a_jpeg_cut_off_late_is_not_read_in_part(self, tmp_path: Path, share: float, progressive: bool) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (256, 192, 3), dtype=np.uint8)
        path = saved(Image.fromarray(noise), tmp_path / "x.jpg", progressive=progressive)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        with pytest.raises(UserError, match=r"x\.jpg: cannot be read as an image: image file is truncated"):
            Preprocessing(SIZE).load(path)

    @pytest.mark.parametrize("extension", ["jpg", "png"])
    @pytest.mark.parametrize("keep", [0, 10, 300])
    def test_damage_is_named(self, tmp_path: Path, extension: str, keep: int) -> None:
        stream = io.BytesIO()
        portrait().save(stream, {"jpg": "JPEG", "png": "PNG"}[extension])
        path = tmp_path / f"x.{extension}"
        path.write_bytes(stream.getvalue()[:keep])
        with pytest.raises(UserError, match=r"x\.(jpg|png): cannot be read as an image: \S+") as caught:
            Preprocessing(SIZE).load(path)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("extension", ["jpg", "png"])
    def test_a_decompression_bomb_is_refused_with_the_limit(
        self, tmp_path: Path, extension: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = saved(portrait(), tmp_path / f"x.{extension}")
        monkeypatch.setattr("multitask.data.image_file.MAX_PIXELS", 96 * 128)
        Preprocessing(SIZE).load(path)  # just what is allowed
        monkeypatch.setattr("multitask.data.image_file.MAX_PIXELS", 96 * 128 - 1)
        with pytest.raises(UserError, match=r"96 x 128 pixels are more than the limit of 12,287 pixels$"):
            Preprocessing(SIZE).load(path)

    def test_a_small_file_of_a_huge_image_is_refused_unread(self, tmp_path: Path) -> None:
        """A PNG of 60,000 x 60,000 black pixels, of which the header says so and nothing follows."""
        path = saved(portrait(), tmp_path / "x.png")
        data = bytearray(path.read_bytes())
        data[16:24] = struct.pack(">II", 60_000, 60_000)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"x\.png: cannot be read as an image: .*3600000000.* limit of \d+ pixels"):
            Preprocessing(SIZE).load(path)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"x\.jpg: no such file"):
            Preprocessing(SIZE).load(tmp_path / "x.jpg")


class TestCrop:
    @pytest.mark.parametrize("region", [(0, 0, 40, 40), (0.5, 0, 0.5, 1)])
    def test_one_that_gives_no_fractions_is_told(self, tmp_path: Path, region: tuple[float, ...]) -> None:
        class Mine(WholeSettings):
            def region(self, *args: Any) -> Any:
                return region

        path = saved(portrait(), tmp_path / "1.png")
        with pytest.raises(UserError, match=r"data\.crop: none must give a part of the image as fractions, found \("):
            Preprocessing((32, 24), crop=Mine()).load(path)


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


class TestPixelsKey:
    def test_is_another_for_other_pixels_and_for_no_others(self) -> None:
        whole, boxes = CentreSettings(), np.zeros((2, 4))
        same = [
            pixels_key([b"a", b"b"], preprocessing)
            for preprocessing in (
                Preprocessing(SIZE),
                Preprocessing(SIZE, whole),
                Preprocessing(SIZE, WholeSettings()),
                Preprocessing(SIZE, None, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)),  # which are applied later
            )
        ]
        others = [
            pixels_key([b"b", b"a"], Preprocessing(SIZE)),
            pixels_key([b"a"], Preprocessing(SIZE)),
            pixels_key([b"a", b"c"], Preprocessing(SIZE)),
            pixels_key([b"a", b"b"], Preprocessing(SIZE[::-1])),
            pixels_key([b"a", b"b"], Preprocessing(SIZE, CentreSettings(left=0.1))),
            pixels_key([b"a", b"b"], Preprocessing(SIZE, BoxSettings()), boxes),
            pixels_key([b"a", b"b"], Preprocessing(SIZE, BoxSettings()), boxes + 1),
            pixels_key([b"a", b"b"], Preprocessing(SIZE, BoxSettings(margin=0.1)), boxes),
            pixels_key([b"a", b"b"], Preprocessing(SIZE, BoxSettings(fallback=CentreSettings(left=0.1))), boxes),
        ]
        assert len(set(same)) == 1
        assert len({*same, *others}) == len(others) + 1

    @pytest.mark.parametrize("name", ["_VERSION", "version"])
    def test_is_another_for_another_decoder(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        before = pixels_key([b"a"], Preprocessing(SIZE))
        monkeypatch.setattr(f"multitask.data.images.{name}", {"_VERSION": -1, "version": lambda package: "0"}[name])
        assert pixels_key([b"a"], Preprocessing(SIZE)) != before
