"""The sections of a run page that not every report has."""

from __future__ import annotations

import pytest

from tests.parsed_page import Page
from tests.reporting.run.made_report import MASK, TINY, in_folds, make_report, render


def test_folds_have_a_row_and_a_curve_each(curves):
    page = Page(render(MASK, **in_folds(2)))
    text = page.section("folds")
    assert "0101,070.500.600.600.6001 of 2 1111,071.510.610.610.6102 of 3" in text
    epochs, values, _ = curves["folds"]
    assert epochs == [1, 2, 3]
    assert values == {"fold 0": (0.25, 0.5, None), "fold 1": (0.25, 0.5, 0.75)}
    assert "Each fold has learning curves of its own" in page.section("learning")
    assert "Folds2" in page.section("training").replace(" ", "")
    links = [link["attrs"]["href"] for link in page.all("a") if "nav" in link["inside"]]
    assert links[1:7] == ["#attribution", "#rules", "#promises", "#folds", "#unseen", "#learning"]
    assert [section["attrs"]["id"] for section in page.all("section")][1:6] == [link[1:] for link in links[1:6]]


def test_answers_to_groups_have_a_section_where_there_are_any(undrawn):
    report = make_report(MASK)
    labelling = {"scores": report["joint"], "accuracy_difference": 0.024, "accuracy_difference_ci": [-0.002, 0.05]}
    report["grouped"] = {
        "per_group": ["gender", "age"],
        "declared": [],
        "num_groups": 50,
        "pooling": "log_pool",
        "sentence": "log_pool has the best score",
        "decode": "joint",
        "cross_fitted": True,
        "joint": labelling,
        "tasks": {task: {**labelling, "scores": report["tasks"][task]} for task in MASK},
    }
    page = Page(render(MASK, report=report))
    text = page.section("groups")
    assert "Pooling: log_pool has the best score." in text
    assert "+.024−.002 to +.050" in text
    assert "age per group" in text
    assert "mask per group" not in text
    assert "#groups" in [link["attrs"]["href"] for link in page.all("a")]
    assert 'id="groups"' not in render(MASK)


def test_classes_never_trained_on_are_scored_beside_the_others(undrawn):
    given = in_folds(2)
    text = Page(render(MASK, **given)).section("unseen")
    assert "2 classes had no image to train on; here 12 images of 1 group belong to them." in text
    assert "never trained on.250.100 to .400" in text
    assert "trained on.750–" in text
    assert "wear/female/<30.900.800.850" in text
    given["report"]["unseen"] |= {"num_images": 0, "macro_f1": None, "macro_f1_ci": None}
    text = Page(render(MASK, **given)).section("unseen")
    assert "So there is no score of what was never trained on." in text
    assert "never trained on––" in text


def test_decode_rules_stand_side_by_side_and_the_used_one_is_marked(undrawn):
    section = Page(render(TINY)).section("rules")
    assert "expected_f1 has the best cross-fitted score; used is independent, which the config names." in section
    rows = section.replace(" ", "")  # cells stand side by side, whatever is between them
    assert "independenteachhead’smostprobablelabel.880.810to.930–––used" in rows
    assert "expected_f1promisesthebestmacro-F1.910.840to.960+.030+.010to+.050.920picked" in rows
    assert "class_biasatunedbiasforeachclass.860.790to.910−.020−.060to+.020.950" in rows
    assert "cross-fitted" in section
    assert "mask0.50notsureenoughgender1.05assureasright" in rows
    assert "The joint term is not shown to be needed." in section
    assert "has a joint macro-F1 of .870, with the joint term .880" in section


def test_rules_that_were_fitted_before_are_said_to_be(undrawn):
    report = make_report(TINY)
    report["decode_rules"] |= {"cross_fitted": False}
    for row in report["decode_rules"]["rules"]:
        row["in_sample"] = None
    section = Page(render(TINY, report=report | {"joint_term": None})).section("rules")
    assert "were fitted on the run’s validating 50 groups (350 images)" in section
    assert "in sample" not in section.lower()
    assert "joint term" not in section


@pytest.mark.parametrize("num_folds", [0, 5])
def test_where_no_rule_was_fitted_that_is_said(undrawn, num_folds):
    report = make_report(TINY)
    report["decode_rules"] |= {"num_folds": num_folds, "cross_fitted": num_folds > 0}
    for row in report["decode_rules"]["rules"]:
        row["in_sample"] = None
    section = Page(render(TINY, report=report)).section("rules")
    assert "None of these rules has parameters that were fitted." in section
    assert "validating" not in section


def test_a_report_from_before_there_were_rules_has_no_such_section(undrawn):
    report = make_report(TINY)
    for missing in ({"decode_rules": None}, {}):
        old = {key: value for key, value in report.items() if key not in ("decode_rules", "joint_term")} | missing
        assert not Page(render(TINY, report=old)).all("section", id="rules")


def test_sets_and_asking_have_rows_a_curve_and_the_places_where_nothing_is_known(undrawn):
    page = Page(render(MASK))
    rows = page.rows("promises")
    assert rows[1] == ["mask", ".90", ".910", ".880 to .940", "1.25 (1.20 to 1.30)", ".750", "2 of 3 labels"]
    assert rows[2] == ["mask", ".95", "–", "–", "–", "–", "0 of 3 labels"]
    assert [row[0] for row in rows[1:9:2]] == ["mask", "gender", "age", "joint"]
    assert rows[10:] == [[".01", ".000", "–", "–"], [".10", ".650", ".040", ".020 to .060"]]
    text = page.section("promises")
    assert "Each group’s sets are calibrated by other groups of this split" in text
    assert "A dash: too few groups calibrate such sets." in text
    assert "with a probability of .90 the error among the answered is at most the risk" in text
    assert "(AURC) is the mean error over all shares: joint .130, mask .100, gender .110, age .120." in text
    assert "The heavy line is the class." in text
    report = make_report(MASK)
    del report["selective"]["curves"]["joint"]
    assert "heavy line" not in Page(render(MASK, report=report)).section("promises")
    report = make_report(MASK)
    report["decode_rules"]["cross_fitted"] = False
    assert "calibrated by the groups that validated the run" in Page(render(MASK, report=report)).section("promises")


def test_adaptive_sets_stand_below_the_others(undrawn):
    report = make_report(MASK)
    assert "--sets aps" not in Page(render(MASK, report=report)).section("promises")
    measured = {"observed": 0.92, "observed_ci": [0.89, 0.95], "mean_size": 1.5, "mean_size_ci": [1.4, 1.6]}
    report["adaptive_sets"] = {"age": [{"coverage": 0.9, **measured, "singles": 0.5, "num_own": 3}]}
    page = Page(render(MASK, report=report))
    row = ["age", ".90", ".920", ".890 to .950", "1.50 (1.40 to 1.60)", ".500", "3 of 3 labels"]
    assert page.rows("promises").index(row) == 10
    assert "predict --sets aps" in page.section("promises")


def test_a_report_from_before_there_were_sets_has_no_such_section(undrawn):
    report = make_report(MASK)
    del report["sets"], report["selective"]
    assert not Page(render(MASK, report=report)).all("section", id="promises")


def test_without_calibration_the_curve_stands_alone(undrawn):
    report = make_report(MASK)
    report["selective"]["at"] = []
    page = Page(render(MASK, report=report))
    assert "Answering at a named risk" not in page.section("promises")
