from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multitask.data.eda.looks import common_size, detail_of, look, look_at, perceptual_hash
from multitask.data.images import Preprocessing
from multitask.errors import UserError
from multitask.labels import MISSING


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (128, 96, 3), dtype=np.uint8)


def test_a_flat_image_is_as_bright_as_its_grey_and_not_sharp(tmp_path):
    found = look(save(tmp_path / "flat.png", np.full((128, 96, 3), 80, np.uint8)), Preprocessing((128, 96)))
    assert (found.form, found.width_px, found.height_px) == ("PNG RGB", 96, 128)
    assert (found.brightness, found.sharpness) == (80, 0)
    assert not found.detail.any()


def test_sharpness_is_the_variance_of_the_laplacian(tmp_path, noise):
    noise[:] = noise[..., :1]  # grey
    found = look(save(tmp_path / "noise.png", noise), Preprocessing((128, 96)))
    grey = np.pad(noise[..., 0].astype(float), 1, mode="reflect")
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    assert found.sharpness == pytest.approx(laplacian.var(), rel=1e-4)
    assert found.brightness == pytest.approx(noise.mean(), abs=0.01)


def test_a_rotated_image_has_the_size_that_one_sees(tmp_path, noise):
    exif = Image.Exif()
    exif[0x0112] = 6
    found = look(save(tmp_path / "sideways.jpg", noise, exif=exif), Preprocessing((96, 128)))
    assert (found.form, found.width_px, found.height_px) == ("JPEG RGB", 128, 96)


def test_hash_and_detail_do_not_change_with_the_light(noise):
    small = noise[:32, :32, 0] // 2
    assert (perceptual_hash(small) == perceptual_hash(small + 20)).all()
    assert (detail_of(small) == detail_of(small + 20)).all()
    assert perceptual_hash(small).sum() == 32  # above a median is half of them
    assert (perceptual_hash(small) != perceptual_hash(small.T.copy())).sum() > 12


@pytest.mark.parametrize(("shape", "size"), [((400, 300), (128, 96)), ((96, 128), (96, 128)), ((9, 900), (55, 220))])
def test_the_common_size_has_the_usual_shape(tmp_path, shape, size):
    paths = [save(tmp_path / f"{index}.png", np.zeros((*shape, 3), np.uint8)) for index in range(3)]
    paths += [tmp_path / "missing.png", save(tmp_path / "odd.png", np.zeros((50, 50, 3), np.uint8))]
    assert common_size(paths) == size


def test_means_are_of_the_images_of_each_key_and_faults_are_listed(tmp_path):
    levels = (10, 20, 201)
    paths = [save(tmp_path / f"{level}.png", np.full((8, 8, 3), level, np.uint8)) for level in levels]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    keys = np.array([[0, 2], [0, MISSING], [0, 2], [3, 2], [3, MISSING]])
    done: list[int] = []
    looks = look_at(
        [paths[0], paths[1], broken, paths[2], tmp_path / "no.png"], Preprocessing((8, 8)), keys, 4, done.append
    )
    assert done == [1, 2, 3, 4, 5]
    assert looks.num_averaged.tolist() == [2, 0, 2, 1]
    assert [int(mean[0, 0, 0]) for mean in looks.means] == [15, 0, 106, 201]  # 105.5 is rounded to even
    assert sorted(looks.faults) == [2, 4]
    assert looks.faults[4] == "no such file"
    assert "not an image" in looks.faults[2]
    assert looks.readable.tolist() == [True, True, False, True, False]
    assert np.isnan(looks.brightness).tolist() == [False, False, True, False, True]
    with pytest.raises(UserError):
        look(broken, Preprocessing((8, 8)))


def test_more_images_than_are_decoded_ahead_come_in_order(tmp_path):
    paths = []
    for level in range(250):
        paths.append(tmp_path / f"{level}.png")
        Image.new("L", (8, 8), level).save(paths[-1])
    looks = look_at(paths, Preprocessing((8, 8)), np.zeros((250, 1), np.int64), 1)
    assert looks.brightness.tolist() == list(range(250))
