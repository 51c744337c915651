"""The conclusions of a comparison, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from multitask.reporting.bakeoff.report_schema import ReferenceDifference


def comparison_sentence(
    name: str, reference: str, found: ReferenceDifference, metric: str, num_comparisons: int
) -> str:
    """``shared beats flat by 4.1 points, 95% 2.0 to 6.3.``

    Args:
        name: the contender.
        reference: whom it is compared with.
        found: the difference to the reference.
        metric: which score; said where it is not the joint macro-F1.
        num_comparisons: how many there are.
    """
    on = "" if metric == "joint.macro_f1" else f" in {metric}"
    value, low, high = (100 * number for number in (found.value, found.low, found.high))
    if not found.beyond_noise:
        return (
            f"{name} and {reference} cannot be told apart{on}: {_signed(value)} points, "
            f"95% {_points(low)} to {_points(high)}."
        )
    if value > 0:
        verb, (least, most) = "beats", (low, high)
    else:
        verb, (least, most) = "is behind", (-high, -low)
    text = f"{name} {verb} {reference}{on} by {_points(abs(value))} points, 95% {_points(least)} to {_points(most)}"
    if found.together.beyond_noise:
        return f"{text}."
    return f"{text}; but of {num_comparisons} comparisons one may look so by chance."


def family_sentence(sentence: str, reference: str, found: Mapping[str, ReferenceDifference]) -> list[str]:
    """The file's own sentence where no contender beats the reference, all comparisons taken together; else nothing."""
    if any(gap.together.beyond_noise and gap.value > 0 for gap in found.values()):
        return []
    text = sentence.strip().rstrip(".")
    most = max((gap.together.high for gap in found.values()), default=0.0)
    reason = f", nor is a lead of more than {_points(100 * most)} points likely" if most > 0 else ""
    return [f"{text[:1].upper()}{text[1:]}: nothing beats {reference} beyond noise{reason}."]


def axis_sentence(name: str, reference: str, found: Mapping[int, ReferenceDifference]) -> str:
    """At what numbers of training groups a contender is ahead, behind, or neither beyond noise.

    Args:
        name: the contender.
        reference: whom it is compared with.
        found: per number of groups, ascending, the difference.
    """
    sure = {size: gap for size, gap in found.items() if gap.beyond_noise}
    ahead = [size for size, gap in sure.items() if gap.value > 0]
    behind = [size for size in sure if size not in ahead]
    alike = [size for size in found if size not in sure]
    if not sure:
        sizes = list(found)
        where = f"at {sizes[0]}" if len(sizes) == 1 else f"at any size from {sizes[0]} to {sizes[-1]}"
        return f"{name} and {reference} cannot be told apart {where} training groups."
    if not ahead:
        text = f"{name} is behind {reference} beyond noise at {listed(behind)} training groups"
    else:
        text = f"{name} is ahead of {reference} beyond noise at {listed(ahead)} training groups"
        text += f", and behind it at {listed(behind)}" if behind else ""
    if alike:
        text += f"; at {listed(alike)} the two cannot be told apart"
    if ahead and behind:
        # Where the sign changes once, between which sizes it does.
        if max(ahead) < min(behind):
            text += f": the lead turns between {max(ahead)} and {min(behind)}"
        elif max(behind) < min(ahead):
            text += f": the lead comes between {max(behind)} and {min(ahead)}"
    return f"{text}."


def listed(numbers: Sequence[int]) -> str:
    """Numbers as a list in words: ``40, 80 and 160``."""
    words = list(map(str, numbers))
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _points(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


def _signed(value: float) -> str:
    text = _points(value)
    return text if text.startswith("−") else f"+{text}"
