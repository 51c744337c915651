"""Seeds: far from each other for each purpose, and the same on every machine and in every version."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.utils.seeds import derive

PURPOSES: list[tuple[str | int, ...]] = [
    # some differ by a zero at the end, which numpy alone takes for nothing
    (),
    ("a",),
    ("b",),
    ("ab",),
    ("a", "b"),
    ("b", "a"),
    ("a", 0),
    ("a", 1),
    ("a", 0, 0),
    ("a", 1, 0),
    ("a", 0, 1),
    ("a", 10),
    (1, 0),
]


def test_every_purpose_has_a_seed_of_its_own() -> None:
    seeds = {derive(seed, *purpose) for seed in range(50) for purpose in PURPOSES}
    assert len(seeds) == 50 * len(PURPOSES)


def test_the_same_numbers_for_ever() -> None:
    # Another number here gives every run other numbers.
    assert [derive(0, "split"), derive(1, "split"), derive(0, "augment", 3, 14)] == [245546349, 107499370, 704330270]


@given(st.integers(0, 2**63), st.lists(st.text(max_size=5) | st.integers(0, 10**6), max_size=4))
@settings(deadline=None, max_examples=50)
def test_a_seed_fits_every_generator(seed: int, purpose: list[str | int]) -> None:
    derived = derive(seed, *purpose)
    assert derived == derive(seed, *purpose)
    assert 0 <= derived < 2**31
    np.random.default_rng(derived)


def test_neighbouring_epochs_are_unrelated() -> None:
    bits = np.array([[derive(7, "order", epoch) >> bit & 1 for bit in range(31)] for epoch in range(400)])
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.13  # 5 standard deviations of 400 fair coins
