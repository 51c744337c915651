from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from multitask.data.eda import copies
from multitask.data.eda.copies import Pair, correlations, find_copies, linked
from multitask.data.eda.looks import common_size, look_at
from multitask.data.images import Preprocessing
from multitask.labels import MISSING


def looks_of(samples):
    paths = samples.paths()
    return look_at(paths, Preprocessing(common_size(paths)), np.full((len(paths), 1), MISSING), 0)


def found_in(planted):
    samples = planted.samples()
    found = find_copies(looks_of(samples), samples.groups.tolist())
    assert found.complete
    return [
        (*sorted((str(samples.groups[pair.first]), str(samples.groups[pair.second]))), pair.same_file)
        for pair in found.pairs
    ], found


def test_different_people_are_no_copies(planted):
    pairs, found = found_in(planted)
    assert pairs == []
    assert found.num_within == 0


CHANGES = {
    "encoded again": lambda image: image,
    "smaller": lambda image: image.resize((image.width // 2, image.height // 2)),
    "larger": lambda image: image.resize((image.width * 3 // 2, image.height * 3 // 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "grey": lambda image: image.convert("L"),
}


@pytest.mark.parametrize("stem", ["normal", "mask1"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found(planted, change, stem):
    planted.plant(1, 7, CHANGES[change], stem)
    assert found_in(planted)[0] == [(planted.group(1), planted.group(7), False)]


def test_the_same_file_is_found_and_comes_first(planted):
    planted.plant(0, 4, CHANGES["smaller"], "mask2")
    planted.plant(1, 7, None, "normal")
    pairs, found = found_in(planted)
    assert pairs == [
        (planted.group(1), planted.group(7), True),
        (planted.group(0), planted.group(4), False),
    ]
    assert found.pairs[0].correlation == 1
    assert copies.LEAST_CORRELATION <= found.pairs[1].correlation <= 1


def test_the_same_file_in_one_group_is_counted_but_no_pair(planted):
    mask1, mask2 = planted.file(3, "mask1"), planted.file(3, "mask2")
    mask2.unlink()
    mask2.with_suffix(mask1.suffix).write_bytes(mask1.read_bytes())
    pairs, found = found_in(planted)
    assert pairs == []
    assert found.num_within == 1


def test_flat_images_are_copies_only_to_the_byte(planted):
    for person, level in ((0, 100), (1, 101), (2, 100)):
        path = planted.file(person)
        path.unlink()
        Image.new("RGB", (192, 256), (level,) * 3).save(path.with_suffix(".png"))
    assert found_in(planted)[0] == [(planted.group(0), planted.group(2), True)]


def test_images_that_cannot_be_read_are_no_copies(planted):
    for person in (0, 1):
        planted.file(person).write_bytes(b"nothing")
    assert found_in(planted)[0] == []


def test_blocks_find_what_one_comparison_of_all_finds(planted, monkeypatch):
    for source, target in ((0, 11), (1, 2), (5, 9)):
        planted.plant(source, target, CHANGES["encoded again"], "normal")
    samples = planted.samples()
    looks = looks_of(samples)
    done: list[int] = []
    whole = find_copies(looks, samples.groups.tolist(), done.append)
    assert len(whole.pairs) == 3
    assert done[-1] == len(samples)
    monkeypatch.setattr(copies, "_BLOCK", 10)
    monkeypatch.setattr(copies, "_CONFIRMED_AT_ONCE", 2)
    assert find_copies(looks, samples.groups.tolist()) == whole
    monkeypatch.setattr(copies, "MOST_PAIRS", 2)
    cut = find_copies(looks, samples.groups.tolist())
    assert (len(cut.pairs), cut.complete) == (2, False)
    nothing = dataclasses.replace(looks, contents=[], details=looks.details[:0], bits=looks.bits[:0])
    assert find_copies(nothing, []).pairs == ()


def test_correlation_is_that_of_numpy():
    details = np.random.default_rng(0).integers(-127, 128, (3, 32, 32)).astype(np.int8)
    expected = np.corrcoef(details.reshape(3, -1).astype(float))
    ones, twos = np.array([0, 0, 1]), np.array([0, 1, 2])
    np.testing.assert_allclose(correlations(details, ones, twos), expected[ones, twos], atol=1e-5)


def test_groups_are_linked_through_others():
    groups = ["a", "b", "c", "d", "e"]
    ab, bc, de = Pair(0, 1, True, 1.0), Pair(1, 2, False, 0.99), Pair(3, 4, False, 0.98)
    assert linked([ab, de, bc], groups) == [[ab, bc], [de]]
