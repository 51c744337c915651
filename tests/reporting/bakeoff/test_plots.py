from __future__ import annotations

from collections.abc import Callable

from multitask.reporting.bakeoff.plots import SizeCurve, by_size

CURVES = [
    SizeCurve("flat", (40, 80, 160), (0.3, 0.4, 0.5), (0.2, 0.3, 0.4), (0.4, 0.5, 0.6), reference=True),
    SizeCurve("shared", (40, 80, 160), (0.35, None, 0.48), (0.3, None, None), (0.4, None, None)),
    SizeCurve("nothing", (40, 80, 160), (None,) * 3, (None,) * 3, (None,) * 3),
]


def test_a_plot_stands_among_others_and_names_contenders_and_sizes(check_plot: Callable[..., None]) -> None:
    check_plot(lambda key: by_size(CURVES, ylabel="joint macro-F1", key=key, label="words"))
    svg = by_size(CURVES, ylabel="joint macro-F1", key="k", label="words")
    for text in ("flat", "shared", "40", "80", "160", "groups that train"):
        assert f">{text}</text>" in svg
    assert ">nothing</text>" not in svg


def test_a_plot_names_every_one_of_many_contenders() -> None:
    names = [f"way {number}" for number in range(12)]
    curves = [SizeCurve(name, (40, 80), (0.3, 0.4), (0.2, 0.3), (0.4, 0.5)) for name in names]
    svg = by_size(curves, ylabel="joint macro-F1", key="k", label="words", height_px=400)
    for name in names:
        assert f">{name}</text>" in svg
