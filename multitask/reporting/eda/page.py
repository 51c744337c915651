"""The page of a data set: what was found in it, put into the order and the words that the template prints."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from multitask.data.eda import Inspection
from multitask.data.eda.copies import LEAST_CORRELATION, MOST_BITS, Pair
from multitask.data.eda.inspection import EXAMPLES, MOST_CELLS, MOST_LINKED, Linked
from multitask.labels import JOINT
from multitask.reporting.eda.plots import histogram
from multitask.reporting.eda.text import NONE_WHOLE, any_partly, any_whole, forms, num_copied, sentences
from multitask.reporting.eda.views import (
    ClassesView,
    ClassRow,
    ExtremesRow,
    FramedView,
    LinkedView,
    MeanImage,
    MeansView,
    SamplesRow,
    ShownImage,
)
from multitask.reporting.html import embedded, render
from multitask.reporting.run import plots
from multitask.reporting.run.class_scores import LONG_CLASSES
from multitask.reporting.run.empty_cells import impossible_yaml, never_in_words
from multitask.reporting.text import amount_text, moment_text, score_text
from multitask.reporting.views import DistributionView, PlotView
from multitask.utils.spelling import plural

_MOST_FORMS = 15
_MOST_FAULTS = 50
_SECTIONS = {
    "classes": "Classes",
    "numbers": "Numbers",
    "copies": "Copies",
    "unreadable": "Unreadable",
    "framing": "What the network sees",
    "looks": "Looks",
    "means": "Mean images",
    "samples": "Samples",
}


def render_inspection(found: Inspection, name: str, created: str) -> str:
    """The inspection of a data set as a complete HTML page that needs no other file.

    Args:
        found: what was found.
        name: of the data or its config.
        created: when, as ISO 8601.

    Returns:
        The page. The same arguments give the same characters.
    """
    numbers = _numbers(found)
    framed = _framed(found)
    absent = {key for key, views in (("numbers", numbers), ("framing", framed)) if not views}
    sections = {key: words for key, words in _SECTIONS.items() if key not in absent}
    faults = [(str(found.samples.images[index]), why) for index, why in sorted(found.looks.faults.items())]
    return render(
        "eda.html",
        title=f"{name} · data",
        name=name,
        root=str(found.samples.root),
        created=moment_text(created),
        sentences=sentences(found),
        cards=_cards(found),
        sections=sections,
        parts_of=[part for part, indices in found.parts.items() if len(indices)],
        classes=_classes(found),
        untrained=found.untrained,
        partly=any_partly(found),
        none_whole="" if any_whole(found) else NONE_WHOLE,
        never=never_in_words(found.empty, int(found.samples.space.possible.sum())),
        impossible=impossible_yaml(found.empty),
        distributions=_distributions(found),
        numbers=numbers,
        linked=[_linked(found, item) for item in found.linked[:MOST_LINKED]],
        more_linked=max(0, len(found.linked) - MOST_LINKED),
        rule=(
            f"Candidates differ in at most {MOST_BITS} of the 64 bits of a perceptual hash; they count where their "
            f"detail, at 32 × 32 pixels, correlates by at least {score_text(LEAST_CORRELATION, 2)}. So an image that "
            "was compressed, scaled or lit anew is found, one that was mirrored or cut closer is not."
        ),
        faults=faults[:_MOST_FAULTS],
        more_faults=max(0, len(faults) - _MOST_FAULTS),
        forms=forms(found)[:_MOST_FORMS],
        more_forms=max(0, len(forms(found)) - _MOST_FORMS),
        framed=framed,
        size=f"{found.size[1]} × {found.size[0]}",
        measures=_measures(found),
        extremes=_extremes(found),
        means=_means(found),
        grid=_grid(found),
        cell_limit=MOST_CELLS if len(found.cells) == MOST_CELLS else None,
    )


def _cards(found: Inspection) -> list[tuple[str, str, str]]:
    joint = found.counts[JOINT]
    possible = int(found.samples.space.possible.sum())
    trained = possible - len(found.untrained)
    leaks = len(found.leaks)
    classes = [
        ("Classes that train", f"{trained:,}", f"of {possible:,} that can occur"),
        ("Fewest groups", f"{_fewest(joint.groups['train'], found)}", "of a class, to train"),
    ]
    return [
        ("Leaks", f"{leaks:,}", "sets of groups with images in common on both sides" if leaks else "of the split"),
        ("Images", f"{len(found.samples):,}", f"of {plural(found.samples.num_groups, 'group', 'groups')}"),
        *(classes if any_whole(found) else []),
        ("Under two groups", f"{num_copied(found):,}", "images" if found.linked else "no image"),
        ("Unreadable", f"{len(found.looks.faults):,}", "files"),
    ]


def _fewest(groups: NDArray[np.int64], found: Inspection) -> int:
    return int(groups[found.samples.space.possible].min())


def _classes(found: Inspection) -> ClassesView:
    """Groups and images of every class in every split."""
    joint = found.counts[JOINT]
    parts = [part for part, indices in found.parts.items() if len(indices)]
    rows = []
    for index, name in enumerate(joint.names if any_whole(found) else ()):
        if not found.samples.space.possible[index]:
            continue
        cells = [int(kind[part][index]) for part in parts for kind in (joint.groups, joint.images)]
        rows.append(ClassRow(name, cells))
    totals = []
    for part in parts:
        indices = found.parts[part]
        totals += [len(set(found.samples.groups[indices])), len(indices)]
    unknown = [num for part in parts for num in (None, joint.unknown[part])]
    return ClassesView(rows, totals, unknown if any(unknown) else None, len(rows) > LONG_CLASSES)


def _distributions(found: Inspection) -> list[DistributionView]:
    parts = [part for part, indices in found.parts.items() if len(indices)]
    views = []
    for place, task in enumerate(found.samples.space.tasks):
        counts = found.counts[task.name]
        possible = found.samples.space.possible_labels(task.name)
        plot = plots.distribution(
            [name for name, here in zip(task.classes, possible, strict=True) if here],
            {part: counts.images[part][possible].tolist() for part in parts},
            key=f"distribution-{place}",
            label=f"{task.name}: share of each label in {', '.join(parts)}",
        )
        views.append(DistributionView(task.name, Markup(plot), task.num_classes > LONG_CLASSES))
    return views


def _numbers(found: Inspection) -> list[PlotView]:
    """A histogram of every task that is made of a number, with the edges between its classes."""
    views = []
    for place, task in enumerate(found.samples.space.tasks):
        values = found.samples.numbers[:, place].astype(np.float64)
        known = values[np.isfinite(values)]
        if task.kind != "binned" or not len(known):
            continue
        low, middle, high = (f"{value:,.6g}" for value in np.quantile(known, [0, 0.5, 1]))
        ends = [int((known == end).sum()) for end in (known.min(), known.max())]
        words = (
            f"From {low} ({plural(ends[0], 'image', 'images')}) to {high} ({ends[1]:,}), half below {middle}. "
            f"Dashed: the edges between {', '.join(task.classes)}; a number at an edge belongs to the class above it."
        )
        if len(known) < len(values):
            words += f" Of {plural(len(values) - len(known), 'image', 'images')} it is not known."
        plot = histogram(
            known,
            xlabel=task.name,
            key=f"number-{place}",
            label=f"Number of images by {task.name}, from {low} to {high}",
            marks=task.edges,
        )
        views.append(PlotView(task.name, Markup(plot), words))
    return views


def _linked(found: Inspection, item: Linked) -> LinkedView:
    where = [f"{group} ({split})" for group, split in zip(item.groups, item.splits, strict=True)]
    pairs = [pair for pair in item.pairs[:EXAMPLES] if {pair.first, pair.second} <= set(found.pixels)]
    same = sum(pair.same_file for pair in item.pairs)
    nature = []
    if same:
        nature.append(f"{same:,} the same to the byte")
    if same < len(item.pairs):
        least = min(pair.correlation for pair in item.pairs)
        nature.append(f"{len(item.pairs) - same:,} nearly the same (correlation from {score_text(least)})")
    return LinkedView(
        groups=where[:EXAMPLES],
        more=max(0, len(where) - EXAMPLES),
        leak=item.leak,
        differ=item.differ,
        words=f"{plural(len(item.pairs), 'pair', 'pairs')} of images: {', '.join(nature)}.",
        pairs=[(_shown(found, pair.first), _shown(found, pair.second)) for pair in pairs],
        captions=[_pair_text(pair) for pair in pairs],
    )


def _pair_text(pair: Pair) -> str:
    return "the same file" if pair.same_file else f"correlation {score_text(pair.correlation)}"


def _shown(found: Inspection, index: int) -> ShownImage:
    samples = found.samples
    labels = [
        "?" if label < 0 else task.classes[label]
        for task, label in zip(samples.space.tasks, samples.labels[index], strict=True)
    ]
    return ShownImage(
        image=str(samples.images[index]),
        labels="/".join(labels),
        brightness=round(float(found.looks.brightness[index])),
        sharpness=amount_text(float(found.looks.sharpness[index])),
        **embedded(found.pixels[index]),
    )


def _framed(found: Inspection) -> list[FramedView]:
    """Some images with the frame of what is used, and what becomes of it."""
    if found.framing is None or (fit := found.framing.facts.fit) is None:
        return []
    side = {True: "width", False: "height"}
    verb = {"crop": "cut off", "pad": "padding", "stretch": "squeezed"}[fit.name]
    views = []
    for item in found.framing.drawn:
        wide = (item.share > 0) != (fit.name == "pad")
        words = "the same shape" if abs(item.share) < 0.005 else f"{abs(item.share):.1%} of the {side[wide]}: {verb}"
        views.append(FramedView(item.image, words, embedded(item.whole), embedded(item.seen)))
    return views


def _measures(found: Inspection) -> list[PlotView]:
    """Brightness and sharpness of all images."""
    readable = found.looks.readable
    if not readable.any():
        return []
    views = []
    measured = (
        ("Brightness", "Mean of the grey image: 0 is black, 255 white.", found.looks.brightness, False),
        (
            "Sharpness",
            f"Variance of the Laplacian at {found.size[1]} × {found.size[0]} pixels: low is blurred, or flat.",
            found.looks.sharpness,
            True,
        ),
    )
    for name, words, values, log in measured:
        known = values[readable]
        plot = histogram(
            np.maximum(known, 1e-2) if log else known,
            xlabel=name.lower() + (" (logarithmic)" if log else ""),
            key=name.lower(),
            label=f"{name} of the images, from {known.min():.0f} to {known.max():.0f}, median {np.median(known):.0f}",
            log=log,
        )
        views.append(PlotView(name, Markup(plot), words))
    return views


def _extremes(found: Inspection) -> list[ExtremesRow]:
    rows = []
    for kind, indices in found.extremes.items():
        shown = [_shown(found, index) for index in indices if index in found.pixels]
        if shown:
            bright = kind in ("darkest", "brightest")
            rows.append(ExtremesRow(kind, [(one, str(one.brightness) if bright else one.sharpness) for one in shown]))
    return rows


def _means(found: Inspection) -> list[MeansView]:
    """The mean image of each label of each task, then of the classes."""
    space = found.samples.space
    wanted = [(task.name, list(enumerate(task.classes))) for task in space.tasks]
    wanted.append((JOINT, [(cell, space.class_names[cell]) for cell in found.cells]))
    views = []
    for task, labels in wanted:
        shown = []
        for label, name in labels[:MOST_CELLS]:
            mean = found.mean(task, label)
            if mean is not None:
                shown.append(MeanImage(name, plural(mean[1], "image", "images"), **embedded(mean[0])))
        if shown:
            views.append(MeansView("classes" if task == JOINT else task, shown))
    return views


def _grid(found: Inspection) -> list[SamplesRow]:
    rows = []
    for cell, indices in found.grid.items():
        shown = [_shown(found, index) for index in indices if index in found.pixels]
        if shown:
            num = int(sum(counts[cell] for counts in found.counts[JOINT].images.values()))
            name = found.samples.space.class_names[cell]
            rows.append(SamplesRow(name, plural(num, "image", "images"), shown))
    return rows
