"""The frame of a face: upright, turned and tilted, and what is no face."""

from __future__ import annotations

import numpy as np
import pytest

from multitask.data.synthetic.portraits.face import WORN, FaceFrame, facing
from tests.data.synthetic.portraits.conftest import LANDMARKS


def test_a_mask_covers_nose_and_mouth_and_is_symmetric_on_an_upright_face() -> None:
    upper_left, top, upper_right, lower_left, bottom, lower_right = FaceFrame.of(LANDMARKS).place(WORN)
    eyes, nose, mouth = LANDMARKS[0, 1], LANDMARKS[2, 1], LANDMARKS[3, 1]
    assert eyes < top[1] < nose
    assert mouth < bottom[1]
    assert upper_left[0] < LANDMARKS[0, 0]
    assert upper_left[0] + upper_right[0] == pytest.approx(120)
    assert lower_left[0] + lower_right[0] == pytest.approx(120)
    assert lower_left[1] < bottom[1]


def test_it_turns_scales_and_moves_with_the_face() -> None:
    angle = 0.3
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    straight = FaceFrame.of(LANDMARKS).place(WORN)
    moved = FaceFrame.of(2 * LANDMARKS @ turn + (5, 9)).place(WORN)
    assert np.allclose(moved, 2 * straight @ turn + (5, 9))


def test_a_face_that_is_turned_shows_less_of_one_side() -> None:
    turned = LANDMARKS.copy()
    turned[2, 0] += 6
    placed = FaceFrame.of(turned).place(WORN)
    assert placed[1, 0] > 60  # the middle goes with the nose
    assert placed[1, 0] - placed[0, 0] > 1.5 * (placed[2, 0] - placed[1, 0])


def test_what_is_a_face() -> None:
    assert facing(LANDMARKS)
    assert not facing(LANDMARKS * 0.1)  # too small
    assert not facing(LANDMARKS * (0.3, 1))  # turned away
    assert not facing(LANDMARKS * (1, -1))  # upside down
    assert not facing(LANDMARKS * (-1, 1))  # left and right confused
    assert not facing(np.full((5, 2), np.nan))
