"""Learning curves on the page of a run."""

from __future__ import annotations

import re

from tests.parsed_page import Page
from tests.reporting.run.made_report import TINY, make_history, make_report, render


def test_one_head_for_all_classes_is_held_against_the_loss_of_the_class(curves):
    history = make_history(TINY, heads=["class"])
    for row in history:
        del row["val"]["tasks"]["class"]  # on validation every answer is read by task
        for task, loss in (("mask", 0.5), ("gender", 0.25)):
            row["val"]["tasks"][task]["loss"] = loss
    text = Page(render(TINY, history=history)).section("learning")
    assert re.findall(r"Loss of (\w+)Train", text) == ["class"]
    assert set(curves) == {"scores", "loss-0", "loss-tasks"}
    assert curves["loss-0"][1] == {"train": (1.0, 1 / 2, 1 / 3), "val": (2.2, 1.1, 2.2 / 3)}
    assert curves["loss-tasks"][1] == {"mask": (0.5,) * 3, "gender": (0.25,) * 3}


def test_training_curves_are_solid_and_validation_dashed(curves):
    render(TINY)
    for head in range(len(TINY)):
        assert curves[f"loss-{head}"][2] == {"train": "solid", "val": "dashed"}


def with_likelihoods(history, mixed=None):
    for row in history:
        row["train"]["nll"] = 7 / row["epoch"]
        row["train"] |= {} if mixed is None else {"mixed": mixed}
        for number, scores in enumerate(row["train"]["tasks"].values(), start=1):
            scores["nll"] = 10 * number / row["epoch"]
    return history


def test_losses_of_one_plot_are_of_one_quantity(curves):
    """A run records the likelihood of its training labels: that, and not the loss that it descended, is drawn."""
    page = Page(render(TINY, history=with_likelihoods(make_history(TINY, [*TINY, "joint"]))))
    assert curves["loss-0"][1] == {"train": (10, 5, 10 / 3), "val": (1.1, 1.1 / 2, 1.1 / 3)}
    assert curves["loss-2"][1] == {"train": (7, 3.5, 7 / 3), "val": (2.2, 1.1, 2.2 / 3)}
    learning = page.section("learning")
    assert "Both losses are the mean negative log-likelihood" in learning
    assert "mixed" not in learning
    assert "epoch objective train loss val loss" in " ".join(cell["text"] for cell in page.all("th", scope="col"))
    assert "12.0007.0002.200" in learning


def test_mixed_training_images_are_owned_up_to(undrawn):
    page = Page(render(TINY, history=with_likelihoods(make_history(TINY), mixed=0.25)))
    assert "Up to 25% of an epoch’s batches were mixed" in page.section("learning")


def test_an_old_runs_losses_are_said_not_to_compare(curves):
    learning = Page(render(TINY)).section("learning")
    assert curves["loss-0"][1] == {"train": (1.0, 1 / 2, 1 / 3), "val": (1.1, 1.1 / 2, 1.1 / 3)}
    assert "Compare their shapes, not their heights" in learning
    assert "train loss as configured" in learning


def test_an_epoch_without_a_label_leaves_a_gap(curves):
    history = with_likelihoods(make_history(TINY))
    history[1]["train"]["tasks"]["mask"] = {"loss": None, "nll": None}
    render(TINY, history=history)
    assert curves["loss-0"][1]["train"] == (10, None, 10 / 3)


def test_only_the_best_epoch_of_all_is_marked(undrawn):
    report, history = make_report(TINY), make_history(TINY)
    for row in history:
        row["best"] = True  # the best so far
    section = Page(render(TINY, history=history)).section("learning")
    assert re.findall(r"(\d) ●", section) == ["2"]
    report["training"]["best_epoch"] = None
    section = Page(render(TINY, report=report, history=history)).section("learning")
    assert re.findall(r"(\d) ●", section) == ["3"]


def test_curves_are_those_of_the_history(curves):
    history = make_history(TINY)
    history[1]["val"] = None
    render(TINY, history=history)
    assert set(curves) == {"scores", "loss-0", "loss-1"}
    assert curves["loss-1"][:2] == ([1, 2, 3], {"train": (1.0, 1 / 2, 1 / 3), "val": (1.1, None, 1.1 / 3)})
    assert curves["scores"][1] == {
        "joint": (0.25, None, 0.75),
        "mask": (0.3, None, 0.3 * 3),
        "gender": (0.3, None, 0.3 * 3),
    }


def test_where_no_image_has_all_labels_the_page_says_so_and_names_no_heavy_line(undrawn):
    learning = Page(render(TINY)).section("learning")
    assert "The heavy line is the joint score." in learning
    assert "Scores are the joint ones on validation." in learning
    history = make_history(TINY)
    for row in history:
        row["val"]["joint"] |= {"macro_f1": None, "accuracy": None}
    learning = Page(render(TINY, history=history)).section("learning")
    assert "heavy line" not in learning
    assert "Joint scores are unknown: no image that validates has all labels." in learning
