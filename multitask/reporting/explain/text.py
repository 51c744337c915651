"""The words of heat maps: heads, probabilities, methods."""

from __future__ import annotations

from collections.abc import Iterable

from multitask.evaluation.evidence import Explanation, HeatMap
from multitask.labels import JOINT

METHOD_WORDS = {
    "attention weights": "where the head's own attention looks, whatever it answers",
    "gradient x attention": "what the pooled token collects for the label in the last attention layer",
    "Grad-CAM": "what each place of the last feature map adds to the label's log-odds",
    "gradient x input": "how much each place of the input moves the label's log-odds",
}
"""What each method shows."""


def head_name(heat: HeatMap) -> str:
    """What a map's head is called: the task, or the class."""
    return "class" if heat.head == JOINT else heat.head


def percent_text(prob: float) -> str:
    """A probability as ``93%``; never 0% or 100% of what is not certain."""
    if 0 < prob < 0.005:
        return "<1%"
    if 0.995 <= prob < 1:
        return ">99%"
    return f"{prob:.0%}"


def method_sentences(explanations: Iterable[Explanation]) -> list[str]:
    """How the maps were made and how fine they are, a sentence for each way."""
    found: dict[tuple[str, tuple[int, int]], list[str]] = {}
    for explanation in explanations:
        for heat in explanation.maps:
            heads = found.setdefault((heat.method, heat.cells), [])
            if head_name(heat) not in heads:
                heads.append(head_name(heat))
    return [
        f"{', '.join(heads)}: {method}, {METHOD_WORDS.get(method, 'a method of your own')}; "
        f"{cells[1]} × {cells[0]} cells."
        for (method, cells), heads in found.items()
    ]
