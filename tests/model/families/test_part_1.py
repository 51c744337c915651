"""A quarter of timm's families, so that test processes share them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from multitask.model.vision_ops import timm


@pytest.mark.parametrize("family", timm.list_modules()[0::4])
def test_a_member_is_built_trained_for_a_step_and_asked(family: str, try_family: Callable[[str], None]) -> None:
    try_family(family)
