from __future__ import annotations

import numpy as np
import pytest

from multitask.reporting.eda.plots import bin_edges, histogram


@pytest.mark.parametrize(
    ("values", "log"),
    [
        (np.array([18.0, 20, 20, 61]), False),
        (np.random.default_rng(0).normal(120, 30, 500), False),
        (np.random.default_rng(0).lognormal(5, 2, 500), True),
        (np.full(3, 7.0), False),
        (np.full(3, 7.0), True),
    ],
)
def test_a_plot_that_can_stand_in_a_page(check_plot, values, log):
    marks = () if log else (30.0, 60.0)
    check_plot(lambda key: histogram(values, xlabel="age", key=key, label="ages", marks=marks, log=log))


def test_edges_are_drawn_and_named_outside_the_data_too():
    svg = histogram(np.array([18.0, 20.0]), xlabel="age", key="k", label="ages", marks=(19, 60))
    assert ">19<" in svg
    assert ">60<" in svg


def test_whole_numbers_have_a_bar_each():
    edges = bin_edges(np.array([18.0, 20.0, 20.0]))
    assert edges.tolist() == [17.5, 18.5, 19.5, 20.5]
    assert np.histogram([18.0, 20.0, 20.0], edges)[0].tolist() == [1, 0, 2]


@pytest.mark.parametrize("values", [np.array([0.5, 3.25]), np.array([0.0, 100_000.0])])
def test_other_numbers_share_forty_bars(values):
    edges = bin_edges(values)
    assert len(edges) == 41
    assert (edges[0], edges[-1]) == (values.min(), values.max())
