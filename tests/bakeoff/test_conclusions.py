from __future__ import annotations

import pytest

from multitask.bakeoff.conclusions import axis_sentence, comparison_sentence, family_sentence, listed
from multitask.reporting.bakeoff.report_schema import JointDifference, ReferenceDifference


def found(value: float, low: float, high: float, wider: float = 0.0) -> ReferenceDifference:
    def beyond(low: float, high: float) -> bool:
        return low > 0 or high < 0

    low_, high_ = low - wider, high + wider
    together = JointDifference(value, low_, high_, beyond(low_, high_), 0.99)
    return ReferenceDifference(value, low, high, beyond(low, high), together)


class TestComparison:
    @pytest.mark.parametrize(
        ("gap", "sentence"),
        [
            (found(0.041, 0.020, 0.063), "new beats old by 4.1 points, 95% 2.0 to 6.3."),
            (found(-0.041, -0.063, -0.020), "new is behind old by 4.1 points, 95% 2.0 to 6.3."),
            (found(0.012, -0.020, 0.044), "new and old cannot be told apart: +1.2 points, 95% −2.0 to 4.4."),
            (found(-0.0001, -0.020, 0.0), "new and old cannot be told apart: +0.0 points, 95% −2.0 to 0.0."),
            (
                found(0.041, 0.005, 0.063, 0.01),
                "new beats old by 4.1 points, 95% 0.5 to 6.3; but of 4 comparisons one may look so by chance.",
            ),
        ],
    )
    def test_says_who_is_ahead_and_by_how_much(self, gap: ReferenceDifference, sentence: str) -> None:
        assert comparison_sentence("new", "old", gap, "joint.macro_f1", 4) == sentence

    def test_names_a_metric_that_is_not_the_usual_one(self) -> None:
        text = comparison_sentence("new", "old", found(0.041, 0.020, 0.063), "tasks.age.macro_f1", 1)
        assert text == "new beats old in tasks.age.macro_f1 by 4.1 points, 95% 2.0 to 6.3."


class TestFamily:
    def test_is_said_only_where_nothing_beats_the_reference(self) -> None:
        noise, worse = found(0.01, -0.01, 0.03, 0.01), found(-0.05, -0.08, -0.02)
        assert family_sentence("equal weights suffice", "equal", {"a": noise, "b": worse}) == [
            "Equal weights suffice: nothing beats equal beyond noise, nor is a lead of more than 4.0 points likely."
        ]
        assert family_sentence("equal weights suffice", "equal", {"b": worse}) == [
            "Equal weights suffice: nothing beats equal beyond noise."
        ]
        assert not family_sentence("x", "equal", {"a": found(0.05, 0.02, 0.08), "b": noise})

    def test_one_that_wins_only_when_counted_alone_does_not_count(self) -> None:
        assert family_sentence("x", "equal", {"a": found(0.05, 0.002, 0.08, 0.01)})


class TestAxis:
    def text(self, *values: float, sure: float = 1.0) -> str:
        sizes = (40, 80, 160, 320)
        return axis_sentence(
            "new", "old", {size: found(v, v - sure, v + sure) for size, v in zip(sizes, values, strict=False)}
        )

    def test_differences_within_noise_are_no_lead(self) -> None:
        assert self.text(0.04, -0.03) == "new and old cannot be told apart at any size from 40 to 80 training groups."
        assert self.text(0.04) == "new and old cannot be told apart at 40 training groups."

    def test_the_boundary_is_the_interval(self) -> None:
        assert "ahead of old beyond noise at 40" in self.text(0.0201, 0.01, sure=0.02)
        assert "cannot be told apart at any size" in self.text(0.02, 0.01, sure=0.02)
        assert "behind old beyond noise at 40" in self.text(-0.0201, 0.01, sure=0.02)

    def test_a_lead_that_stays(self) -> None:
        assert self.text(0.04, 0.03, sure=0.01) == "new is ahead of old beyond noise at 40 and 80 training groups."
        assert self.text(0.04, 0.03, 0.01, sure=0.02) == (
            "new is ahead of old beyond noise at 40 and 80 training groups; at 160 the two cannot be told apart."
        )

    def test_a_lead_that_never_was(self) -> None:
        assert self.text(-0.04, -0.03, sure=0.01) == "new is behind old beyond noise at 40 and 80 training groups."

    def test_a_lead_that_turns_names_where(self) -> None:
        assert self.text(0.04, 0.02, -0.005, -0.03, sure=0.01) == (
            "new is ahead of old beyond noise at 40 and 80 training groups, and behind it at 320; at 160 the two "
            "cannot be told apart: the lead turns between 80 and 320."
        )
        assert self.text(-0.04, 0.02, sure=0.01) == (
            "new is ahead of old beyond noise at 80 training groups, and behind it at 40: the lead comes between 40 "
            "and 80."
        )

    def test_a_lead_that_comes_and_goes(self) -> None:
        assert self.text(0.04, -0.02, 0.02, sure=0.01) == (
            "new is ahead of old beyond noise at 40 and 160 training groups, and behind it at 80."
        )


def test_listed() -> None:
    assert [listed(numbers) for numbers in ([1], [1, 2], [1, 2, 3])] == ["1", "1 and 2", "1, 2 and 3"]
