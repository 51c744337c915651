from __future__ import annotations

import json
from pathlib import Path

import pytest

from multitask.data.data_facts import DataFacts
from multitask.data.image_facts import FitCounts
from multitask.runs.records import RunEnvironment
from multitask.utils.records import parse_record, record_to_json

FIT = FitCounts(name="crop", image_size=(32, 24), num_measured=2, num_wide=0, num_tall=0)


@pytest.mark.parametrize("record", [RunEnvironment(seed=0, versions={"a": "1"}), DataFacts(root="/data", fit=FIT)])
def test_what_a_run_keeps_goes_round(record: object) -> None:
    assert parse_record(record_to_json(record), type(record), Path("a.json")) == record


def test_what_is_not_there_is_left_out() -> None:
    data = json.loads(record_to_json(DataFacts(root="/data", fit=FIT)))
    assert set(data) == {"root", "fingerprint", "num_images", "num_groups", "centres", "fit"}
    assert set(data["fit"]) == {"name", "image_size", "num_measured", "num_wide", "num_tall"}
