"""Images that are no plain 8-bit RGB: each becomes what a viewer shows, by one rule for all, or is refused."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from multitask.data.colours import Decoding
from multitask.data.images import Preprocessing, pixels_key
from multitask.errors import UserError

HEIGHT, WIDTH = 16, 32
SIZE = (HEIGHT, WIDTH)
GREY = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
HIDDEN = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def load(path: Path, decoding: Decoding | None = None) -> NDArray[np.uint8]:
    return Preprocessing(SIZE, decoding=decoding).load(path)


def saved(values: NDArray[Any], path: Path, mode: str | None = None, **options: Any) -> Path:
    image = Image.fromarray(values)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


class TestDepth:
    @pytest.mark.parametrize(
        ("values", "name"),
        [
            ((GREY / 255).astype(np.float32), "x.tif"),
            (GREY.astype(np.uint16) * 257, "x.tif"),
            (GREY.astype(np.uint16) * 257, "x.png"),
            ((GREY.astype(np.uint16) * 257).astype(">u2"), "x.tif"),
        ],
    )
    def test_the_range_of_the_type_is_black_to_white(self, tmp_path: Path, values: NDArray[Any], name: str) -> None:
        np.testing.assert_array_equal(load(saved(values, tmp_path / name)), np.repeat(GREY[..., None], 3, axis=2))

    def test_a_pgm_of_16_bits(self, tmp_path: Path) -> None:
        path = tmp_path / "x.pgm"
        path.write_bytes(b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + (GREY.astype(">u2") * 257).tobytes())
        np.testing.assert_array_equal(load(path)[..., 0], GREY)

    def test_a_dark_image_stays_dark(self, tmp_path: Path) -> None:
        assert load(saved((GREY / 2550).astype(np.float32), tmp_path / "x.tif")).max() == 26
        assert load(saved(GREY.astype(np.uint16) * 16, tmp_path / "y.tif")).max() == 15  # 12 bits: nothing tells

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            (GREY.astype(np.float32), r"holds floats beyond 0 to 1 \(from 0 to 255\); set data.value_range"),
            (GREY.astype(np.float32) / 255 - 0.5, r"beyond 0 to 1 \(from -0.5 to 0.5\); set data.value_range"),
            (GREY.astype(np.int32), r"32-bit whole numbers \(from 0 to 255\), whose range nothing tells; set data"),
            (np.where(GREY > 9, np.nan, 0).astype(np.float32), r"NaN or infinite\); replace them"),
        ],
    )
    def test_a_range_that_nothing_tells_is_refused(self, tmp_path: Path, values: NDArray[Any], reason: str) -> None:
        with pytest.raises(UserError, match=r"^[^\n]*x\.tif: [^\n]*" + reason):
            load(saved(values, tmp_path / "x.tif"))

    @pytest.mark.parametrize(
        ("values", "value_range"),
        [
            (GREY.astype(np.float32), (0.0, 255.0)),
            (GREY.astype(np.int32), (0.0, 255.0)),
            (GREY.astype(np.int32) - 1000, (-1000.0, -745.0)),
            (GREY.astype(np.uint16) * 16, (0.0, 4080.0)),
        ],
    )
    def test_a_range_that_is_set(self, tmp_path: Path, values: NDArray[Any], value_range: tuple[float, float]) -> None:
        path = saved(values, tmp_path / "x.tif")
        np.testing.assert_array_equal(load(path, Decoding(value_range=value_range))[..., 0], GREY)
        low, high = value_range
        middle = load(path, Decoding(value_range=(low + (high - low) / 4, high - (high - low) / 4)))
        assert (middle[:, :8] == 0).all()
        assert (middle[:, -8:] == 255).all()

    def test_a_range_that_is_set_leaves_8_bit_images_alone(self, tmp_path: Path) -> None:
        path = saved(HIDDEN, tmp_path / "x.png")
        np.testing.assert_array_equal(load(path, Decoding(value_range=(0.0, 10.0))), HIDDEN)


@pytest.mark.parametrize("photometric", [0, 1])
def test_a_16_bit_tiff_whose_least_value_is_white_is_no_negative(tmp_path: Path, photometric: int) -> None:
    values = np.tile(np.linspace(0, 65535, 8).astype(np.uint16), (4, 1))
    path = saved(values, tmp_path / "x.tif")
    content = bytearray(path.read_bytes())
    place = content.index(b"\x06\x01\x03\x00\x01\x00\x00\x00") + 8  # the entry of tag 262, a short
    content[place : place + 2] = photometric.to_bytes(2, "little")
    path.write_bytes(content)
    with Image.open(path) as image:
        assert image.tag_v2[262] == photometric
    lightness = load(path)[0, :, 0].astype(int)
    assert (lightness[0], lightness[-1]) == ((255, 0) if photometric == 0 else (0, 255))


def cut_out(mode: str) -> NDArray[np.uint8]:
    """Noise under alpha 0, a red box in its middle."""
    pixels = np.dstack([HIDDEN, np.zeros((HEIGHT, WIDTH), dtype=np.uint8)])
    pixels[4:12, 8:24] = (200, 30, 30, 255)
    return np.asarray(Image.fromarray(pixels).convert(mode))


class TestTransparency:
    @pytest.mark.parametrize(
        ("mode", "name"),
        [("RGBA", "x.png"), ("LA", "x.png"), ("RGBA", "x.webp"), ("RGBA", "x.tif"), ("LA", "x.tif"), ("RGBA", "x.gif")],
    )
    @pytest.mark.parametrize("background", [(255, 255, 255), (0, 128, 255)])
    def test_what_is_hidden_is_not_seen(
        self, tmp_path: Path, mode: str, name: str, background: tuple[int, int, int]
    ) -> None:
        options = {"lossless": True} if name.endswith("webp") else {}
        path = saved(cut_out(mode), tmp_path / name, **options)
        pixels = load(path, Decoding(background))
        assert (pixels[:4] == background).all()
        assert (pixels[:, :8] == background).all()
        red = (200, 30, 30) if mode == "RGBA" else pixels[4, 8]
        assert (pixels[4:12, 8:24] == red).all()
        assert tuple(pixels[4, 8]) != background

    @pytest.mark.parametrize("mode", ["RGB", "L", "1"])
    def test_one_colour_that_is_see_through(self, tmp_path: Path, mode: str) -> None:
        values = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
        values[4:12] = 255
        key: Any = (0, 0, 0) if mode == "RGB" else 0
        path = saved(values, tmp_path / "x.png", mode, transparency=key)
        assert (load(path, Decoding((9, 99, 199)))[:4] == (9, 99, 199)).all()
        assert (load(path, Decoding((9, 99, 199)))[4:12] == 255).all()

    def test_one_of_16_bits(self, tmp_path: Path) -> None:
        path = saved(GREY.astype(np.uint16) * 257, tmp_path / "x.png", transparency=0)
        pixels = load(path)
        assert (pixels[:, 0] == 255).all()
        np.testing.assert_array_equal(pixels[:, 1:, 0], GREY[:, 1:])

    def test_edges_are_mixed_with_the_background_before_they_are_resized(self, tmp_path: Path) -> None:
        values = np.zeros((HEIGHT, WIDTH, 4), dtype=np.uint8)
        values[:, WIDTH // 2 :] = (0, 0, 0, 255)
        values[:, : WIDTH // 2, :3] = (255, 0, 0)
        pixels = Preprocessing((4, 8)).load(saved(values, tmp_path / "x.png"))
        assert (pixels[..., 0] == pixels[..., 1]).all()  # no red of what is hidden bleeds in

    def test_a_bmp_whose_alpha_is_nothing_but_padding_is_seen(self, tmp_path: Path) -> None:
        for alpha, expected in ((0, HIDDEN), (np.arange(WIDTH) % 2 * 255, None)):
            values = np.dstack([HIDDEN[..., ::-1], np.broadcast_to(alpha, (HEIGHT, WIDTH))]).astype(np.uint8)
            masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
            header = struct.pack("<IiiHHIIiiII", 108, WIDTH, -HEIGHT, 1, 32, 3, values.nbytes, 0, 0, 0, 0) + masks
            body = header.ljust(108, b"\0") + values.tobytes()
            (tmp_path / "x.bmp").write_bytes(b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, 122) + body)
            if expected is not None:
                np.testing.assert_array_equal(load(tmp_path / "x.bmp"), expected)
            else:
                assert (load(tmp_path / "x.bmp")[:, ::2] == 255).all()

    def test_an_alpha_that_hides_nothing_changes_nothing(self, tmp_path: Path) -> None:
        opaque = np.dstack([HIDDEN, np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)])
        np.testing.assert_array_equal(load(saved(opaque, tmp_path / "x.png"), Decoding((1, 2, 3))), HIDDEN)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "1"])
def test_other_colour_spaces_are_as_pillow_has_them(tmp_path: Path, mode: str) -> None:
    path = saved(HIDDEN, tmp_path / "x.tif", mode)
    with Image.open(path) as image:
        assert image.mode in (mode, "RGB")  # which Pillow 10 makes of a YCbCr TIFF itself
        np.testing.assert_array_equal(load(path), np.asarray(image.convert("RGB")))


def test_16_bits_of_rgb_are_their_upper_half(tmp_path: Path) -> None:
    import cv2

    path = tmp_path / "x.png"
    cv2.imwrite(str(path), HIDDEN[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(load(path), HIDDEN)


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.webp", "x.tif"])
def test_of_several_frames_the_first_is_used(tmp_path: Path, name: str) -> None:
    first, second = (Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ((255, 0, 0), (0, 0, 255)))
    options = {"lossless": True} if name.endswith("webp") else {}
    first.save(tmp_path / name, save_all=True, append_images=[second], **options)
    assert (load(tmp_path / name) == (255, 0, 0)).all()


def test_pixels_that_are_kept_are_those_of_the_settings() -> None:
    ways = [Decoding(), Decoding((0, 0, 0)), Decoding(value_range=(0.0, 255.0))]
    keys = {pixels_key([b"x"], Preprocessing(SIZE, decoding=way)) for way in ways}
    keys |= {pixels_key([b"x"], Preprocessing(SIZE, fit="pad")), pixels_key([b"x"], Preprocessing(SIZE, fit="stretch"))}
    assert len(keys) == 5
