from __future__ import annotations

import numpy as np

from multitask.training.accumulation import step_shares


def test_shares_are_the_parts_of_the_labelled_samples_times_the_batches_of_the_step() -> None:
    labelled = np.array([[4, 4], [4, 0], [2, 0], [3, 0], [1, 0]], dtype=float)
    found = step_shares(labelled, 2)
    assert found is not None
    # A loss that no batch of the step has a label of is 0 whatever it counts.
    assert np.allclose(found, [[1, 2], [1, 0], [0.8, 1], [1.2, 1], [1, 1]])


def test_where_all_batches_have_as_much_there_is_nothing_to_share() -> None:
    assert step_shares(np.full((7, 3), 0.3), 3) is None
    assert step_shares(np.zeros((2, 1)), 2) is None
