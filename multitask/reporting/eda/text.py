"""The findings on a data set, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from multitask.data.eda import Inspection
from multitask.data.eda.copies import MOST_PAIRS
from multitask.data.eda.domain_gap import LEAST_GROUPS, SourceGap
from multitask.labels import JOINT
from multitask.reporting.run.empty_cells import never_in_words
from multitask.reporting.text import fit_text, image_notes
from multitask.utils.spelling import plural

NAMED = 8  # names in a sentence
NONE_WHOLE = "No image has all its labels: the classes as a whole have none, and each task trains by its own."
_DOES = {"train": "train", "val": "validate", "test": "test", "pick": "pick the epoch", "neither": "do neither"}


def sentences(found: Inspection) -> list[str]:
    """The findings that matter for training, a sentence each."""
    return [
        _sizes(found),
        _unreadable(found),
        *_framing(found),
        *_copies(found),
        *_untrained(found),
        *_unknown(found),
        *_per_group(found),
        *_gap(found),
        *(f"{note}." for note in found.samples.notes),
        *_other_files(found),
    ]


def _per_group(found: Inspection) -> list[str]:
    """The tasks that a group's images can be answered for together."""
    if not found.per_group:
        return []
    declared = {task.name for task in found.samples.space.tasks if task.per_group}
    names = [f"{name} (declared)" if name in declared else name for name in found.per_group]
    return [f"The same in all images of a group: {some(tuple(names))}."]


def _gap(found: Inspection) -> list[str]:
    """How surely images tell their source, and where that would tell a label."""
    if found.gap is None:
        return []
    seen = [("8 × 8 pixels of what the network sees", found.gap.sources)]
    seen += [(f"the run's features for {', '.join(gap.tasks)}", gap.sources) for gap in found.gap.features]
    text = [
        f"Sources told apart by {what}, groups cross-validated: {_aucs(sources)}." for what, sources in seen if sources
    ]
    if found.gap.not_asked:
        text.append(
            f"Not asked whether images tell their source: {some(found.gap.not_asked)}; that takes two sources of "
            f"{LEAST_GROUPS} groups or more."
        )
    for gap, confound in found.gap.warnings:
        text.append(
            f"{gap.source} is told apart and confounded with {confound.task}: {confound.label} is {confound.share:.0%} "
            f"of its labels and {confound.elsewhere:.0%} of the others', so a head may learn the source in the label's "
            "place; crop: align frames sources alike."
        )
    return text


def _aucs(sources: Sequence[SourceGap]) -> str:
    return ", ".join(
        f"{gap.source} by an AUC of {gap.auc:.2f} (95% {gap.low:.2f} to {gap.high:.2f})" for gap in sources
    )


def some(names: tuple[str, ...]) -> str:
    """The first few names and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def num_copied(found: Inspection) -> int:
    """Images that are there under more than one group."""
    return len({index for pair in found.copies.pairs for index in (pair.first, pair.second)})


def forms(found: Inspection) -> list[tuple[str, str, int]]:
    """Format, size and number of images, the commonest first."""
    looks = found.looks
    counted = Counter(
        (looks.forms[index], f"{width} × {height}" if width else "unknown")
        for index, (width, height) in enumerate(looks.sizes_px.tolist())
        if index not in looks.faults
    )
    return [(form, size, num) for (form, size), num in counted.most_common()]


def _sizes(found: Inspection) -> str:
    groups = found.samples.groups
    parts = [
        f"{_counted(len(indices), len(set(groups[indices])))} {_DOES[part]}"
        for part, indices in found.parts.items()
        if len(indices)
    ]
    return f"{_counted(len(groups), found.samples.num_groups)}: {', '.join(parts)}."


def _counted(images: int, groups: int) -> str:
    return f"{plural(images, 'image', 'images')} of {plural(groups, 'group', 'groups')}"


def _unreadable(found: Inspection) -> str:
    num = len(found.looks.faults)
    if not num:
        return "All of them can be read."
    return f"{plural(num, 'image', 'images')} cannot be read: training stops at the first of them."


def _copies(found: Inspection) -> list[str]:
    copies = found.copies
    within = []
    if copies.num_within == 1:
        within = ["1 file is the same as another of its group, and counts twice."]
    elif copies.num_within:
        within = [f"{copies.num_within:,} files are the same as another of their group, and count twice."]
    if not copies.pairs:
        return ["No image was found under two groups.", *within]
    sets = plural(len(found.linked), "set", "sets")
    text = [f"{plural(num_copied(found), 'image was', 'images were')} found under two groups, in {sets} of groups."]
    if not copies.complete:
        text.append(f"These are from the first {MOST_PAIRS:,} pairs that were found: there are more.")
    if found.leaks:
        text.append(f"{plural(len(found.leaks), 'set is', 'sets are')} on both sides of the split: a leak.")
    else:
        text.append("None is on both sides of this split; another seed or fold may tear them apart.")
    differ = sorted({task for item in found.linked for task in item.differ})
    if differ:
        text.append(f"Their labels contradict each other: {', '.join(differ)}.")
    return [*text, *within]


def any_whole(found: Inspection) -> bool:
    """Whether any image has all its labels; of the classes there is else nothing to be said."""
    return any(images.any() for images in found.counts[JOINT].images.values())


def any_partly(found: Inspection) -> bool:
    """Whether an image lacks a label: it may be of any class that has the others, and counts in none."""
    return any(found.counts[JOINT].unknown.values())


def _untrained(found: Inspection) -> list[str]:
    if not any_whole(found):
        return [NONE_WHOLE]
    if not found.untrained:
        return []
    never = never_in_words(found.empty, int(found.samples.space.possible.sum()))
    who = "No image with all labels" if any_partly(found) else "No group"
    return [f"{who} trains {some(found.untrained)}.", *([never] if never else [])]


def _unknown(found: Inspection) -> list[str]:
    missing, num = [], 0  # the last one's
    for name, counts in found.counts.items():
        unknown = int(np.sum(list(counts.unknown.values())))
        if unknown and name != JOINT:
            missing.append(f"{name} of {unknown:,}")
            num = unknown
    return [f"Not known: {', '.join(missing)} {'image' if num == 1 else 'images'}."] if missing else []


def _other_files(found: Inspection) -> list[str]:
    others = found.samples.other_files
    if not others:
        return []
    kinds = some(tuple(f"{suffix} {num:,}" for suffix, num in sorted(others.items(), key=lambda item: -item[1])))
    num = sum(others.values())
    return [f"{plural(num, 'other file', 'other files')} beside them {'is' if num == 1 else 'are'} no image: {kinds}."]


def _framing(found: Inspection) -> list[str]:
    facts = None if found.framing is None else found.framing.facts
    if facts is None or facts.fit is None or not facts.fit.num_measured:
        return []
    return [fit_text(facts.fit), *(f"{note}." for note in image_notes(replace(facts, fit=None)))]
