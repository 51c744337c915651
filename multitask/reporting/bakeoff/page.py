"""The page of a bake-off: what its report holds, put into the order and the words that the template prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from multitask.reporting.bakeoff.plots import SizeCurve, by_size
from multitask.reporting.bakeoff.text import (
    budget_text,
    changes_text,
    epochs_text,
    people_text,
    rate_text,
    size_text,
    terms_text,
)
from multitask.reporting.html import render
from multitask.reporting.study import plots
from multitask.reporting.study.plots import Interval
from multitask.reporting.study.text import time_text, value_text
from multitask.reporting.text import count_text, interval_text, moment_text, score_text

_LETTERS = 24  # of a contender's name in a plot


def render_bakeoff(report: Mapping[str, Any]) -> str:
    """A bake-off's report as a complete HTML page that needs no other file.

    Args:
        report: what ``report.json`` holds.

    Returns:
        The page. The same report gives the same characters.
    """
    last = report["points"][-1]
    rows = {name: row for name, row in last["contenders"].items() if row["failure"] is None}
    axis = _axis(report) if report["axis"] is not None else None
    unseen = any(row["unseen"] for row in rows.values())
    tuned = any(row["tuning"] for row in report["contenders"])
    titles = {
        "differences": "Differences",
        **({"sizes": "By people"} if axis else {}),
        "scores": "Scores",
        "tasks": "Heads",
        **({"unseen": "Unseen cells"} if unseen else {}),
        "costs": "Costs",
        "runs": "Runs",
        **({"tuning": "Tuning"} if tuned else {}),
        "contenders": "Contenders",
    }
    return render(
        "bakeoff.html",
        title=f"{report['bakeoff']} · bake-off",
        report=report,
        created=moment_text(report["created"]),
        terms=terms_text(report),
        people=people_text(report),
        metric=metric_text(report["metric"]),
        heading=(name := metric_text(report["metric"]))[:1].upper() + name[1:],
        at="" if report["axis"] is None else f" with {_point(last)} to train",
        sections=titles,
        cards=_cards(report, rows),
        differences=_differences(report, rows),
        axis=axis,
        scores=_scores(report, rows),
        tasks=_tasks(report, rows),
        unseen=_unseen(rows) if unseen else None,
        costs=_costs(report, rows),
        runs=_runs(report),
        tuning=_tuning(report) if tuned else None,
        contenders=_contenders(report, last),
    )


def metric_text(metric: str) -> str:
    """``joint macro-F1``, ``age accuracy``."""
    place, _, name = metric.rpartition(".")
    return f"{place.removeprefix('tasks.')} {name.replace('macro_f1', 'macro-F1')}"


def _point(point: Mapping[str, Any]) -> str:
    return "all groups" if point["point"] == "all" else f"{point['point']:,} groups"


def _cards(report: Mapping[str, Any], rows: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The headline figures; the best contender leads."""
    known = {name: row for name, row in rows.items() if row.get("metric")}
    best = max(known, key=lambda name: known[name]["metric"]["value"])
    name = metric_text(report["metric"])
    cards = [(f"Best {name}", score_text(known[best]["metric"]["value"]), best)]
    if best != report["reference"]:
        found = known[report["reference"]]["metric"]
        cards.append(("Reference", score_text(found["value"]), report["reference"]))
    beyond = [row["difference"] for row in rows.values() if row["difference"] and row["difference"]["beyond_noise"]]
    ahead = sum(found["value"] > 0 for found in beyond)
    cards.append(("Ahead beyond noise", count_text(ahead), f"of {len(report['contenders']) - 1} compared"))
    last = report["points"][-1]
    cards.append(("Groups scored", count_text(last["num_groups"]), f"{last['num_images']:,} pictures"))
    trained = [
        one["seconds"]
        for point in report["points"]
        for contender in report["contenders"]
        if not contender["answered_from"]
        for one in point["contenders"][contender["name"]].get("runs", ())
    ]
    cards.append(("Training", time_text(sum(trained)), f"{len(trained)} runs, {budget_text(report['budget'])}"))
    return cards


def _points(value: float | None) -> str:
    if value is None:
        return "–"
    text = f"{100 * value:+.1f}"
    return ("0.0" if text in ("-0.0", "+0.0") else text).replace("-", "−")


def _gap_text(found: Mapping[str, Any] | None) -> str:
    return "–" if found is None else f"{_points(found['low'])} to {_points(found['high'])}"


def _differences(report: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, Any]:
    shown, table = [], []
    for name, row in rows.items():
        found = row["difference"]
        if found is None:
            continue
        value, low, high = (100 * found[key] for key in ("value", "low", "high"))
        shown.append(Interval(name, value, low, high, full=found["beyond_noise"]))
        verdict = "yes" if found["beyond_noise"] else "no"
        together = "yes" if found["together"]["beyond_noise"] else "no"
        table.append({"name": name, "cells": [_points(found["value"]), _gap_text(found), verdict, together]})
    matrix = report["points"][-1]["matrix"]
    names = list(matrix)
    return {
        "plot": _intervals(shown, "points", "forest", zero=True),
        "rows": table,
        "matrix": None
        if len(names) < 3
        else {
            "names": names,
            "rows": [
                {
                    "name": name,
                    "cells": [
                        {
                            "text": _points(found and found["value"]),
                            "sure": bool(found and found["beyond_noise"]),
                            "title": "" if found is None else f"95% {_gap_text(found)}",
                        }
                        for found in (matrix[name][other] for other in names)
                    ],
                }
                for name in names
            ],
        },
    }


def _intervals(rows: Sequence[Interval], xlabel: str, key: str, zero: bool = False) -> Markup | None:
    if all(row.value is None for row in rows):
        return None
    words = "; ".join(f"{row.name} {row.value:.3g}" for row in rows if row.value is not None)
    label = f"{xlabel}, with intervals: {words}"
    return Markup(plots.intervals(rows, xlabel=xlabel, key=key, label=label, zero=zero, letters=_LETTERS))


def _of(
    name: str, figure: Mapping[str, Any] | None, report: Mapping[str, Any], single: Sequence[float] = ()
) -> Interval:
    if figure is None:
        return Interval(name, None)
    low, high = figure["ci"]
    return Interval(name, figure["value"], low, high, tuple(single), strong=name == report["reference"])


def _scores(report: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, Any]:
    table = []
    for name, row in rows.items():
        cells = []
        for figure in (row["joint"], row["accuracy"], *(row["tasks"][task] for task in report["tasks"])):
            cells.append(
                {"value": score_text(figure and figure["value"]), "ci": interval_text(figure and figure["ci"])}
            )
        table.append({"name": name, "reference": name == report["reference"], "cells": cells})
    name = metric_text(report["metric"])
    shown = [
        _of(one, row["metric"], report, [run["score"] for run in row["runs"] if run["score"] is not None])
        for one, row in rows.items()
    ]
    return {"rows": table, "plot": _intervals(shown, name, "scores-plot")}


def _tasks(report: Mapping[str, Any], rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for place, task in enumerate(report["tasks"]):
        shown = [_of(name, row["tasks"][task], report) for name, row in rows.items()]
        plot = _intervals(shown, f"{task} macro-F1", f"task{place}")
        if plot is not None:
            found.append({"name": task, "plot": plot})
    return found


def _unseen(rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "value": score_text(row["unseen"] and row["unseen"]["value"]),
            "ci": interval_text(row["unseen"] and row["unseen"]["ci"]) or "–",
        }
        for name, row in rows.items()
    ]


def _axis(report: Mapping[str, Any]) -> dict[str, Any]:
    names = list(report["points"][-1]["contenders"])
    curves, table = [], []
    for name in names:
        at = [point["contenders"][name] for point in report["points"]]
        sizes = tuple(_groups(point, report) for point in report["points"])
        figures = [row.get("metric") for row in at]
        cis = [figure["ci"] if figure else (None, None) for figure in figures]
        curves.append(
            SizeCurve(
                name,
                sizes,
                tuple(figure["value"] if figure else None for figure in figures),
                tuple(ci[0] for ci in cis),
                tuple(ci[1] for ci in cis),
                name == report["reference"],
            )
        )
        cells = [
            {"value": score_text(figure and figure["value"]), "gap": _difference(row["difference"])}
            for figure, row in zip(figures, at, strict=True)
        ]
        table.append({"name": name, "cells": cells})
    metric = metric_text(report["metric"])
    words = "; ".join(f"{curve.name} {', '.join(score_text(value) for value in curve.values)}" for curve in curves)
    label = f"{metric} with {', '.join(map(str, curves[0].sizes))} groups to train: {words}"
    return {
        "plot": Markup(by_size(curves, ylabel=metric, key="sizes-plot", label=label)),
        "heads": [_point(point) for point in report["points"]],
        "rows": table,
        "reference": report["reference"],
    }


def _groups(point: Mapping[str, Any], report: Mapping[str, Any]) -> int:
    """How many groups train at a point; where folds differ, about."""
    if point["point"] != "all":
        return int(point["point"])
    runs = point["contenders"][report["reference"]]["runs"]
    return round(sum(run["train_groups"] for run in runs) / len(runs))


def _difference(found: Mapping[str, Any] | None) -> str:
    return "" if found is None else f"{_points(found['value'])} ({_gap_text(found)})"


def _costs(report: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, Any]:
    table = []
    peaks = any(row["cuda_peak_bytes"] for row in rows.values())
    for contender in report["contenders"]:
        row, memory = rows.get(contender["name"]), contender["training_memory"]
        if row is None:
            continue
        cells = [count_text(row["num_parameters"])]
        cells += [size_text(memory[key]) for key in ("total", "activations")]
        cells += [] if not peaks else [size_text(row["cuda_peak_bytes"]) if row["cuda_peak_bytes"] else "–"]
        cells += [epochs_text(row["epochs"]), count_text(row["images_seen"]), time_text(row["seconds"])]
        cells += [rate_text(row["train_images_per_s"]), rate_text(contender["inference_images_per_s"])]
        table.append({"name": contender["name"], "cells": cells})
    batches = sorted({contender["training_memory"]["batch_size"] for contender in report["contenders"]})
    return {"rows": table, "peaks": peaks, "batches": " or ".join(map(str, batches))}


def _runs(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per point a table of every seed's score; differences to the reference's run with the same seed."""
    found = []
    for point in report["points"]:
        base = point["contenders"][report["reference"]]["runs"]
        rows = []
        for name, row in point["contenders"].items():
            if row["failure"] is not None:
                continue
            scores = [run["score"] for run in row["runs"]]
            gaps = [
                None if one is None or other["score"] is None else one - other["score"]
                for one, other in zip(scores, base, strict=True)
            ]
            shown = name != report["reference"]
            cells = [
                {"value": score_text(one), "gap": _points(gap) if shown else ""}
                for one, gap in zip(scores, gaps, strict=True)
            ]
            rows.append({"name": name, "cells": cells})
        found.append({"name": _point(point), "rows": rows})
    return found


def _tuning(report: Mapping[str, Any]) -> dict[str, Any]:
    first = next(row["tuning"] for row in report["contenders"] if row["tuning"])
    heads = [", ".join(f"{key} {value_text(value)}" for key, value in one["values"].items()) for one in first]
    rows = [
        {
            "name": row["name"],
            "cells": [
                {"value": score_text(one["score"]), "chosen": one["values"] == row["tuned"]} for one in row["tuning"]
            ],
        }
        for row in report["contenders"]
    ]
    return {"heads": heads, "rows": rows}


def _contenders(report: Mapping[str, Any], last: Mapping[str, Any]) -> list[dict[str, str]]:
    found = []
    for row in report["contenders"]:
        notes = []
        if row["config"] != report["base"]:
            notes.append(f"of {row['config']}")
        if row["answered_from"]:
            notes.append(f"the networks of {row['answered_from']}, answered by another rule")
        if last["contenders"][row["name"]]["failure"]:
            notes.append(f"failed: {last['contenders'][row['name']]['failure']}")
        found.append({"name": row["name"], "changes": changes_text(row), "notes": "; ".join(notes)})
    return found
