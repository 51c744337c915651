"""What a comparison found, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Difference = Mapping[str, Any]


def comparison_sentence(name: str, reference: str, found: Difference, metric: str, num_comparisons: int) -> str:
    """``shared beats flat by 4.1 points, 95% 2.0 to 6.3.``

    Args:
        name: the contender.
        reference: whom it is compared with.
        found: ``value``, ``low``, ``high``, ``beyond_noise``; and ``together``, the same for all comparisons at once.
        metric: which score; said where it is not the joint macro-F1.
        num_comparisons: how many there are.
    """
    on = "" if metric == "joint.macro_f1" else f" in {metric}"
    value, low, high = (100 * found[key] for key in ("value", "low", "high"))
    if not found["beyond_noise"]:
        return (
            f"{name} and {reference} cannot be told apart{on}: {_signed(value)} points, "
            f"95% {_points(low)} to {_points(high)}."
        )
    if value > 0:
        verb, (least, most) = "beats", (low, high)
    else:
        verb, (least, most) = "is behind", (-high, -low)
    text = f"{name} {verb} {reference}{on} by {_points(abs(value))} points, 95% {_points(least)} to {_points(most)}"
    if found["together"]["beyond_noise"]:
        return f"{text}."
    return f"{text}; but of {num_comparisons} comparisons one may look so by chance."


def family_sentence(sentence: str, reference: str, found: Mapping[str, Difference]) -> list[str]:
    """The file's own sentence where no contender beats the reference, all comparisons taken together; else nothing."""
    if any(gap["together"]["beyond_noise"] and gap["value"] > 0 for gap in found.values()):
        return []
    text = sentence.strip().rstrip(".")
    most = max((gap["together"]["high"] for gap in found.values()), default=0.0)
    reason = f", nor is a lead of more than {_points(100 * most)} points likely" if most > 0 else ""
    return [f"{text[:1].upper()}{text[1:]}: nothing beats {reference} beyond noise{reason}."]


def axis_sentence(name: str, reference: str, found: Mapping[int, Difference]) -> str:
    """At what number of training groups, if any, a contender's lead is lost.

    Args:
        name: the contender.
        reference: whom it is compared with.
        found: per number of groups, ascending, the difference.
    """
    sizes = list(found)
    ahead = [found[size]["value"] > 0 for size in sizes]
    changes = [place for place in range(1, len(sizes)) if ahead[place] != ahead[place - 1]]
    if not changes:
        sure = [size for size in sizes if found[size]["beyond_noise"]]
        between = f"from {sizes[0]} to {sizes[-1]} training groups"
        at = "at each" if sure == sizes else f"at {listed(sure)}"
        if ahead[0]:
            end = f"beyond noise {at}: the lead is not lost" if sure else "but never beyond noise"
            return f"{name} is ahead of {reference} at every size {between}, {end}."
        end = f"and behind beyond noise {at}" if sure else "but never behind beyond noise"
        return f"{name} is ahead of {reference} at no size {between}, {end}."
    if len(changes) == 1:
        before, after = sizes[changes[0] - 1], sizes[changes[0]]
        gap = f"{_gap(found[after])} points there, {'' if found[after]['beyond_noise'] else 'not '}beyond noise"
        if ahead[0]:
            return f"{name} leads {reference} up to {before} training groups and has lost the lead at {after}: {gap}."
        return f"{name} is not ahead of {reference} up to {before} training groups and leads from {after} on: {gap}."
    leads = [size for size, is_ahead in zip(sizes, ahead, strict=True) if is_ahead]
    others = [size for size in sizes if size not in leads]
    return f"{name} is ahead of {reference} at {listed(leads)} training groups, and not at {listed(others)}."


def listed(numbers: Sequence[int]) -> str:
    """``40, 80 and 160``."""
    words = list(map(str, numbers))
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _points(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text


def _signed(value: float) -> str:
    text = _points(value)
    return text if text.startswith("-") else f"+{text}"


def _gap(found: Difference) -> str:
    return _signed(100 * found["value"])
