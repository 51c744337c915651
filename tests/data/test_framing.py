"""How images of other shapes become the network's size, and how much of them is lost by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multitask.data.colours import Decoding
from multitask.data.crop import BoxSettings, CentreSettings
from multitask.data.fit import FitName
from multitask.data.framing import draw, measure, spread
from multitask.data.image_facts import FirstFrames, FitCounts, ImageFacts
from multitask.data.images import Preprocessing
from multitask.reporting.text import fit_text, image_notes

BACKGROUND = (0, 200, 0)


def image_file(folder: Path, name: str, width: int, height: int) -> Path:
    """Red, with a blue rim of an eighth at each end of both sides."""
    values = np.full((height, width, 3), (250, 0, 0), dtype=np.uint8)
    for edge in (np.s_[: height // 8], np.s_[-(height // 8) :], np.s_[:, : width // 8], np.s_[:, -(width // 8) :]):
        values[edge] = (0, 0, 250)
    path = folder / f"{name}.png"
    Image.fromarray(values).save(path)
    return path


class TestLoad:
    def test_crop_loses_the_rim_of_the_longer_side(self, tmp_path: Path) -> None:
        pixels = Preprocessing((128, 96)).load(image_file(tmp_path, "x", 256, 256))
        assert (pixels[64, 1:-1] == (250, 0, 0)).all()
        assert (pixels[[4, -4]] == (0, 0, 250)).all()

    @pytest.mark.parametrize(("width", "height"), [(256, 256), (100, 300), (300, 100), (96, 128), (1000, 3), (3, 1000)])
    def test_pad_keeps_all_in_its_shape(self, tmp_path: Path, width: int, height: int) -> None:
        preprocessing = Preprocessing((128, 96), fit="pad", decoding=Decoding(BACKGROUND))
        pixels = preprocessing.load(image_file(tmp_path, "x", width, height))
        assert pixels.shape == (128, 96, 3)
        scale = min(96 / width, 128 / height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        empty = (pixels == BACKGROUND).all(axis=2)
        assert empty.sum() == 128 * 96 - inner[0] * inner[1]
        rows, columns = np.flatnonzero(~empty.all(axis=1)), np.flatnonzero(~empty.all(axis=0))
        assert (len(columns), len(rows)) == inner
        assert abs(rows[0] - (127 - rows[-1])) <= 1  # in the middle
        assert abs(columns[0] - (95 - columns[-1])) <= 1
        if min(inner) > 60:
            assert pixels[64, columns[0] + 2].tolist() == pixels[rows[0] + 2, 48].tolist() == [0, 0, 250]

    @pytest.mark.parametrize(("width", "height"), [(256, 256), (100, 300), (300, 100)])
    def test_stretch_keeps_all_and_fills_all(self, tmp_path: Path, width: int, height: int) -> None:
        pixels = Preprocessing((128, 96), fit="stretch").load(image_file(tmp_path, "x", width, height))
        for edge in (pixels[4], pixels[-4], pixels[:, 4], pixels[:, -4]):
            assert np.abs(edge.astype(int) - (0, 0, 250)).max() < 9
        assert (pixels[30:-30, 30:-30] == (250, 0, 0)).all()

    @pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
    @pytest.mark.parametrize("suffix", ["png", "jpg"])
    def test_an_image_of_the_networks_shape_is_the_same_for_all(
        self, tmp_path: Path, fit: FitName, suffix: str
    ) -> None:
        with Image.open(image_file(tmp_path, "x", 384, 512)) as image:
            image.save(tmp_path / f"y.{suffix}")
        expected = Preprocessing((128, 96)).load(tmp_path / f"y.{suffix}")
        np.testing.assert_array_equal(Preprocessing((128, 96), fit=fit).load(tmp_path / f"y.{suffix}"), expected)

    def test_a_part_is_padded_not_the_whole(self, tmp_path: Path) -> None:
        crop = CentreSettings(left=0.25, right=0.75)
        preprocessing = Preprocessing((64, 64), crop, fit="pad", decoding=Decoding(BACKGROUND))
        pixels = preprocessing.load(image_file(tmp_path, "x", 256, 256))
        assert (pixels[:, :16] == BACKGROUND).all()
        assert (pixels[:, -16:] == BACKGROUND).all()
        assert (pixels[32, 16:-16] == (250, 0, 0)).all()


class TestMeasure:
    def test_shares_of_wide_tall_and_fitting_images(self, tmp_path: Path) -> None:
        sizes = {"square": (256, 256), "wide": (400, 200), "tall": (90, 240), "fits": (96, 128), "nearly": (97, 128)}
        paths = [image_file(tmp_path, name, *size) for name, size in sizes.items()]
        paths.append(tmp_path / "absent.png")
        facts = measure(paths, [*sizes, "absent"], Preprocessing((128, 96)))
        assert facts == ImageFacts(
            fit=FitCounts(
                name="crop",
                image_size=(128, 96),
                num_measured=5,
                num_wide=3,
                num_tall=1,
                median=pytest.approx((0.25 + 0.5) / 2),
                max=pytest.approx(0.625),
                most="wide",
            )
        )

    def test_of_a_part_only_what_the_fit_cuts_counts(self, tmp_path: Path) -> None:
        path = image_file(tmp_path, "x", 256, 256)
        crop = CentreSettings(left=0.125, right=0.875)
        fit = measure([path], ["x"], Preprocessing((128, 96), crop)).fit
        assert (fit.num_wide, fit.num_tall) == (0, 0)
        box = np.array([[0.0, 0.0, 256.0, 64.0]])
        fit = measure([path], ["x"], Preprocessing((128, 96), BoxSettings(margin=0.0)), box).fit
        assert fit.num_wide == 1

    def test_frames_and_pages_are_counted(self, tmp_path: Path) -> None:
        one, other = (Image.new("RGB", (9, 12), colour) for colour in ((255, 0, 0), (0, 0, 255)))
        names = ["x.gif", "x.png", "x.webp", "x.tif"]
        for name in names:
            one.save(tmp_path / name, save_all=True, append_images=[other])
        one.save(tmp_path / "single.gif")
        names.append("single.gif")
        facts = measure([tmp_path / name for name in names], names, Preprocessing((128, 96)))
        assert facts.first_frames == FirstFrames(4, "x.gif")
        assert image_notes(facts) == ["4 images hold several frames or pages, of which the first is used, as x.gif"]

    def test_in_words(self, tmp_path: Path) -> None:
        path = image_file(tmp_path, "x", 256, 256)
        facts = measure([path], ["x"], Preprocessing((128, 96)))
        assert image_notes(facts) == [
            "data.fit: crop: 100% of 1 image is cut to become 96 × 128 px (width × height): 1 at the sides, 0 at "
            "top and bottom; half of these by 25.0% or more, at most 25.0% of that side, both ends together (x); "
            "data.fit: pad or stretch keeps them whole"
        ]
        fits = measure([path], ["x"], Preprocessing((64, 64)))
        assert image_notes(fits) == []
        assert fit_text(fits.fit) == "All images have the shape of the network's 64 × 64 px (width × height)."


class TestDraw:
    @pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
    def test_frame_and_what_is_seen(self, tmp_path: Path, fit: FitName) -> None:
        paths = [image_file(tmp_path, "wide", 800, 400), image_file(tmp_path, "tall", 90, 240)]
        preprocessing = Preprocessing((128, 96), fit=fit)
        tall, wide = draw(paths, ["wide", "tall"], preprocessing)
        assert (tall.image, wide.image) == ("tall", "wide")
        assert wide.whole.shape == (160, 320, 3)
        assert tall.whole.shape == (240, 90, 3)
        np.testing.assert_array_equal(wide.seen, preprocessing.load(paths[0]))
        framed = np.flatnonzero((wide.whole == (255, 160, 0)).all(axis=2).any(axis=0))
        assert (framed[0], framed[-1]) == ((100, 219) if fit == "crop" else (0, 319))
        if fit == "crop":  # what is cut is faded
            assert (wide.whole[80, 60] == [227, 140, 140]).all()


def test_spread() -> None:
    assert spread(0, 5).tolist() == []
    assert spread(3, 5).tolist() == [0, 1, 2]
    assert spread(101, 3).tolist() == [0, 50, 100]
