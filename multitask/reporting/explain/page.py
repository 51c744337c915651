"""The page of explanations: images as the network sees them, and where the evidence of each head lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from multitask.evaluation.evidence import Explanation, HeatMap
from multitask.reporting.explain.overlay import overlay, shown
from multitask.reporting.explain.text import head_name, method_sentences, percent_text
from multitask.reporting.html import EmbeddedImage, embedded, render
from multitask.reporting.text import moment_text, plural


@dataclass(frozen=True)
class MapView:
    """A map under an image: ``said`` are its head's label and probability, ``blank`` that nothing speaks for it."""

    head: str
    label: str
    prob: str
    said: str
    blank: bool
    shown: EmbeddedImage


@dataclass(frozen=True)
class ImageView:
    """A row of the page."""

    image: str
    shown: EmbeddedImage
    maps: tuple[MapView, ...]


def render_explanations(run: str, explanations: Sequence[Explanation], num_given: int | None, created: str) -> str:
    """Explanations as a complete HTML page that needs no other file.

    Args:
        run: the run's name.
        explanations: at least one.
        num_given: how many images were asked for, of which these are the first; None: more than these.
        created: when, as ISO 8601.

    Returns:
        The page. The same arguments give the same characters.
    """
    num = len(explanations)
    lede = f"Where in {plural(num, 'image', 'images')} the evidence lies for what {run} predicts."
    if num_given is None:
        lede += " They are the first; there are more."
    elif num < num_given:
        lede += f" They are the first of {num_given:,}."
    return render(
        "explain.html",
        title=f"{run} · why",
        run=run,
        created=moment_text(created),
        lede=lede,
        sections={"images": "Images"},
        methods=method_sentences(explanations),
        rows=[image_view(one) for one in explanations],
    )


def image_view(explanation: Explanation) -> ImageView:
    """An explanation as the template prints it."""
    maps = tuple(_map_view(explanation, heat) for heat in explanation.maps)
    return ImageView(explanation.image, embedded(shown(explanation.pixels)), maps)


def _map_view(explanation: Explanation, heat: HeatMap) -> MapView:
    prob = percent_text(heat.prob)
    laid = embedded(overlay(explanation.pixels, heat.values))
    return MapView(head_name(heat), heat.label, prob, f"{heat.label}, {prob}", not heat.values.any(), laid)
