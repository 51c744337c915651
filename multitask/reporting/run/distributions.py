"""The distribution of the classes of a run's images, split by split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from multitask.evaluation.metrics import MATRIX_CLASSES
from multitask.evaluation.report_schema import ClassDistribution, RunReport
from multitask.reporting.run import plots
from multitask.reporting.run.class_scores import LISTED_CLASSES, LONG_CLASSES
from multitask.reporting.views import DistributionView
from multitask.utils.spelling import plural


def distribution_views(report: RunReport) -> list[DistributionView]:
    """A plot per task and one of the joint classes, each over all splits; none of what no image has a label of."""
    splits = report.class_distribution or {}
    if not splits:
        return []
    found = []
    for place, (name, scores) in enumerate([*report.tasks.items(), ("joint", report.joint)]):
        last = place == len(report.tasks)
        names = [row.name for row in scores.classes]
        counts: dict[str, Sequence[int]] = {
            split: part.joint if last else part.tasks[name] for split, part in splits.items()
        }
        if not any(map(any, counts.values())):
            continue
        title = name
        if len(names) > MATRIX_CLASSES:
            title = f"{name}: the {LISTED_CLASSES} commonest of {len(names):,} classes"
            names, counts = _commonest(names, counts, LISTED_CLASSES)
        plot = plots.distribution(
            names,
            counts,
            key=f"distribution-{place}",
            label=f"{title}: share of each class in {', '.join(splits)}",
        )
        found.append(DistributionView(title, Markup(plot), len(names) > LONG_CLASSES))
    return found


def _commonest(
    names: Sequence[str], counts: Mapping[str, Sequence[int]], most: int
) -> tuple[list[str], dict[str, Sequence[int]]]:
    """Of so many classes those with the most images in all splits together, and their counts."""
    chosen = np.argsort(-np.sum(list(counts.values()), axis=0), kind="stable")[:most]
    return [names[place] for place in chosen], {
        split: [row[place] for place in chosen] for split, row in counts.items()
    }


def split_sizes(splits: Mapping[str, ClassDistribution]) -> str:
    """Images and groups of each split, in a sentence."""
    sizes = (
        f"{name}: {plural(split.num_images, 'image', 'images')} of {plural(split.num_groups, 'group', 'groups')}"
        for name, split in splits.items()
    )
    return "; ".join(sizes) + "."
