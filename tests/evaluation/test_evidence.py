"""Shares of evidence: of known maps, with verdicts that follow the odds."""

from __future__ import annotations

import numpy as np
import pytest

from multitask.evaluation.evidence import EvidenceShares, HeadShare, head_share, inside, share_inside


def test_a_box_covers_pixels_in_part() -> None:
    part = inside(np.array([1.5, -3, 3, 1.25]), (3, 4))
    np.testing.assert_allclose(part, [[0, 0.5, 1, 0], [0, 0.125, 0.25, 0], [0, 0, 0, 0]])
    assert not inside(np.array([5, 5, 9, 9]), (3, 4)).any()


def test_the_share_is_of_the_sum() -> None:
    heat = np.zeros((4, 4), dtype=np.float32)
    heat[0, 0], heat[3, 3] = 1, 0.25
    part = inside(np.array([0, 0, 2, 2]), (4, 4))
    assert share_inside(heat, part) == pytest.approx(0.8)
    assert np.isnan(share_inside(heat * 0, part))


def make(inside_share: float, area: float, num: int = 40) -> EvidenceShares:
    rng = np.random.default_rng(0)
    share = np.clip(inside_share + rng.normal(0, 0.01, num), 0, 1)
    share[0] = np.nan
    labels = np.array(["a", "b"] * (num // 2), dtype=object)
    return EvidenceShares(np.arange(num) // 2, np.full(num, area), {"head": share}, {"head": labels})


@pytest.mark.parametrize(
    ("share", "area", "verdict"),
    [
        (0.5, 0.1, "far inside"),
        (0.14, 0.1, "inside"),
        (0.11, 0.1, "neither"),  # beyond noise, and yet nothing to speak of
        (0.4, 0.4, "neither"),
        (0.3, 0.4, "outside"),
        (0.1, 0.4, "far outside"),
    ],
)
def test_verdicts_follow_the_odds(share: float, area: float, verdict: str) -> None:
    found = head_share(make(share, area), "head", seed=0)
    assert found is not None
    assert found.verdict == verdict
    assert found.num_images == 39
    assert found.ci[0] <= found.share <= found.ci[1]
    assert found.odds == pytest.approx(found.share / (1 - found.share) / (area / (1 - area)))
    assert found.odds_ci[0] <= found.odds <= found.odds_ci[1]


def test_noise_is_no_preference() -> None:
    noisy = HeadShare(num_images=3, share=0.4, ci=(0.05, 0.8), area=0.1, odds=6.0, odds_ci=(0.5, 36.0))
    assert noisy.verdict == "neither"


def test_a_label_counts_the_images_that_it_was_decided_for() -> None:
    shares = make(0.5, 0.1)
    shares.heads["head"][1::2] = 0.01
    first, second = (head_share(shares, "head", 0, label) for label in ("a", "b"))
    assert first is not None
    assert second is not None
    assert (first.num_images, second.num_images) == (19, 20)
    assert (first.verdict, second.verdict) == ("far inside", "far outside")
    assert head_share(shares, "head", 0, "c") is None
