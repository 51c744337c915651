"""When features can stand in for images."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from multitask.data.settings import AugmentSettings, MixSettings
from multitask.model.heads import AttentionSettings, LinearSettings
from multitask.runs.frozen_features import can_stand_in

PLAIN = AugmentSettings(strength=0.0)


@pytest.mark.parametrize(
    ("frozen", "augment", "nets", "expected"),
    [
        (True, PLAIN, [LinearSettings()], True),
        (False, PLAIN, [LinearSettings()], False),
        (True, AugmentSettings(strength=0.1), [LinearSettings()], False),
        (True, AugmentSettings(strength=0.0, mix=MixSettings(mixup_prob=0.1)), [LinearSettings()], False),
        (True, PLAIN, [LinearSettings(), AttentionSettings()], False),
    ],
)
def test_features_stand_in_where_nothing_changes_them_and_no_head_reads_more(
    frozen: bool, augment: AugmentSettings, nets: list[Any], expected: bool
) -> None:
    assert can_stand_in(SimpleNamespace(frozen=frozen), augment, nets) is expected  # type: ignore[arg-type]
