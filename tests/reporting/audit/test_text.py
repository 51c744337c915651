"""The audit's sentences lead with what can be believed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from multitask.evaluation.group_pooling import Pooling
from multitask.evaluation.suspects import SURE, Audit, HeadAudit, Suspect
from multitask.reporting.audit.text import audit_sentences

EVEN = np.log([0.5, 0.5])
HEAD = HeadAudit("mask", "image", 100, 0, 0, 0, 0.98, 0.7, True, Pooling(1.0, None, 0.02, EVEN, EVEN))


def audit(*confidences: float, heads: tuple[HeadAudit, ...] = (HEAD,)) -> Audit:
    suspects = [Suspect("mask", "ann", ("a.jpg",), "on", "off", 0.1, 0.1, each, False, ()) for each in confidences]
    return Audit(heads, tuple(suspects), (), {})


@pytest.mark.parametrize(
    ("confidences", "lead"),
    [
        ((), "No label is suspect."),
        ((0.1,) * 1141, "None of 1,141 suspect labels is more probably wrong than right, errors being as rare as "
         "fitted: a list to look through, not to correct by."),
        ((SURE, SURE - 1e-6, 0.2), "1 of 3 suspect labels is more probably wrong than right, errors being as rare as "
         "fitted."),
        ((SURE, 0.9, 0.2), "2 of 3 suspect labels are more probably wrong than right, errors being as rare as fitted."),
        ((0.9,), "The one suspect label is more probably wrong than right, errors being as rare as fitted."),
        ((0.4,), "The one suspect label is not more probably wrong than right, errors being as rare as fitted: a list "
         "to look through, not to correct by."),
    ],
)  # fmt: skip
def test_how_many_are_probably_wrong_stands_first(confidences: tuple[float, ...], lead: str) -> None:
    assert audit_sentences(audit(*confidences))[0] == lead


def test_a_good_network_is_said_to_agree_and_blamed_for_nothing() -> None:
    assert audit_sentences(audit(0.9))[1:] == ["Networks that never saw the images agree with .980 of the mask labels."]


def test_a_weak_networks_suspects_are_its_own_errors() -> None:
    weak = replace(HEAD, head="joint", accuracy=0.04, commonest=0.06, beats_commonest=False)
    found = audit_sentences(audit(0.1, heads=(HEAD, weak)))
    assert found[1] == (
        "Networks that never saw the images agree with .980 of the mask labels, .040 of the whole classes."
    )
    assert found[2] == (
        "One fixed answer would do as well within noise (joint .060): such suspects are rather the networks’ own "
        "errors than the labels’."
    )


def test_suspects_that_others_say_already_are_accounted_for() -> None:
    joint = replace(HEAD, head="joint", num_suspects=1320, num_listed=587)
    assert audit_sentences(audit(0.1, heads=(HEAD, joint)))[-1] == (
        "Of the 1,320 suspect classes as a whole 587 are listed; 733 would change nothing that the suspects of single "
        "tasks do not change already."
    )


def test_a_head_without_labels_is_no_weak_one() -> None:
    unknown: dict[str, Any] = {"num_units": 0, "accuracy": math.nan, "commonest": math.nan, "beats_commonest": False}
    assert len(audit_sentences(audit(0.9, heads=(HEAD, replace(HEAD, **unknown))))) == 2
