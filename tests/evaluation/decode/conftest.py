from __future__ import annotations

from collections.abc import Callable

import pytest

from multitask.evaluation.decode import LabelledOutputs
from multitask.labels import LabelSpace
from multitask.testing import decode_rules
from multitask.testing.decode_rules import SPACES


@pytest.fixture(scope="session")
def make_known() -> Callable[..., LabelledOutputs]:
    """Makes images of groups in a label space, with outputs that hold something of the labels.

    ``signal``: how much; ``missing``: the share of labels that is not known; ``joint``: whether with a joint term.
    """
    return decode_rules.make_known


@pytest.fixture(scope="session", params=SPACES)
def space(request: pytest.FixtureRequest) -> LabelSpace:
    """A label space: a product, one head over all classes, a single task, cells that cannot occur."""
    return SPACES[request.param]
