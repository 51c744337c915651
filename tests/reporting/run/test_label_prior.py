"""The label prior that is estimated of images, on the page and on the console."""

from __future__ import annotations

from multitask.evaluation.prior_shift import LabelPrior, PriorEstimate
from multitask.reporting.run.label_prior import MOST_LABELS, prior_lines, prior_view


def estimate(*labels: str) -> PriorEstimate:
    share = 1 / len(labels)
    return PriorEstimate(
        labels=labels,
        prior=(0.25, *(0.75 / (len(labels) - 1) for _ in labels[1:])),
        prior_ci=((0.2, 0.3), *((0.0, 1.0) for _ in labels[1:])),
        by_confusion=(0.22, *(0.78 / (len(labels) - 1) for _ in labels[1:])),
        trained=(share,) * len(labels),
        condition=2.0,
        num_images=9,
        num_groups=3,
    )


FOUND = LabelPrior(priors={"gender": estimate("male", "female")}, unknown={"joint": "prior of the classes: is not"})


def test_each_label_has_a_row_and_what_is_unknown_a_reason() -> None:
    view = prior_view(FOUND)
    assert view is not None
    first, second = view.rows
    assert (first.name, first.label, first.first, second.first) == ("gender", "male", True, False)
    assert (first.share, first.interval, first.by_confusion, first.trained) == (
        "25.0%",
        "20.0% to 30.0%",
        "22.0%",
        "50.0%",
    )
    assert view.unknown == ("prior of the classes: is not",)
    many = estimate(*(f"c{number}" for number in range(MOST_LABELS + 1)))
    joint = prior_view(LabelPrior(priors={"joint": many}, unknown={}))
    assert joint is not None
    assert not joint.rows
    assert prior_view(None) is None


def test_the_console_has_a_line_for_each() -> None:
    one, two = prior_lines(FOUND)
    assert one.startswith("estimated prior of gender: male 25% (20% to 30%; the network's own 50%), female")
    assert two == "prior of the classes: is not"
    assert prior_lines(None) == []
