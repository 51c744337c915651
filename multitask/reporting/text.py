"""Texts of numbers, times and names on a page and in its plots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from multitask.data.image_facts import CropCounts, FitCounts, ImageFacts
from multitask.evaluation.scores import RegressionError
from multitask.utils.spelling import plural


def score_text(value: float | None, digits: int = 3) -> str:
    """A score as it is written everywhere in a report: ``.881``, ``1.000``, ``−.003``, and ``–`` for none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{abs(value):.{digits}f}".removeprefix("0")
    return f"−{text}" if value < 0 and float(text) else text


def count_text(value: int | None) -> str:
    """``1,792``, and ``–`` for none."""
    return "–" if value is None else f"{value:,}"


def interval_text(interval: Sequence[float | None] | None) -> str:
    """``.800 to .920``; nothing where there is no interval."""
    if interval is None or None in interval:
        return ""
    return f"{score_text(interval[0])} to {score_text(interval[1])}"


def amount_text(value: float) -> str:
    """An amount in its own unit, to three figures: ``8.31``, ``1,240``, ``−0.52``."""
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 2
    return f"{value:,.{digits}f}".replace("-", "−")


def error_text(number: RegressionError | None) -> str:
    """A mean absolute error and its interval, in the number's unit; empty where there is none."""
    if number is None:
        return ""
    low, high = map(amount_text, number.mae_ci)
    return f"{amount_text(number.mae)} (95% {low} to {high})"


def moment_text(text: str) -> str:
    """An ISO 8601 moment as ``23 November 2026, 10:15 UTC``; one without a time zone stays without."""
    moment = datetime.fromisoformat(text)
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    return f"{moment.day} {moment:%B %Y, %H:%M}" + (" UTC" if moment.tzinfo else "")


def duration_text(seconds: float) -> str:
    """``1 min 21 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s" if minutes else f"{rest} s"


def shorten(name: str, limit: int = 22, tail: int | None = None) -> str:
    """``name`` on one line, of at most ``limit`` characters; both ends are kept, as classes differ at either.

    Args:
        name: of one or more lines.
        limit: at least 3.
        tail: characters that are kept of the end; None: a third.
    """
    name = " ".join(name.split())
    tail = limit // 3 if tail is None else tail
    return name if len(name) <= limit else f"{name[: limit - 1 - tail]}…{name[-tail:]}"


def shorten_each(names: Sequence[str], limit: int = 22) -> dict[str, str]:
    """Names as of ``shorten``, by the name; where two would look alike more of their ends is kept, or else a number.

    >>> shorten_each(["together and consistent", "together and very consistent"], 20)
    {'together and consistent': 'togethe…d consistent', 'together and very consistent': 'togethe…y consistent'}
    """
    for tail in range(limit // 3, limit - 1):
        found = {name: shorten(name, limit, tail) for name in names}
        if len(set(found.values())) == len(found):
            return found
    numbers = {name: f" {number}" for number, name in enumerate(found, start=1)}
    return {name: shorten(name, limit - len(number)) + number for name, number in numbers.items()}


_FITS = {
    "crop": ("cut", "of that side, both ends together"),
    "pad": ("padded", "of the input"),
    "stretch": ("squeezed", "of that side"),
}


def image_notes(facts: ImageFacts) -> list[str]:
    """Notes on the network's view of the images, a sentence each without its full stop."""
    notes = []
    if (fit := facts.fit) is not None and fit.num_wide + fit.num_tall:
        notes.append(_fit_note(fit))
    if frames := facts.first_frames:
        are = "image holds" if frames.num == 1 else "images hold"
        notes.append(f"{frames.num:,} {are} several frames or pages, of which the first is used, as {frames.example}")
    return notes


def _fit_note(fit: FitCounts) -> str:
    num = fit.num_wide + fit.num_tall
    height, width = fit.image_size
    done, of_what = _FITS[fit.name]
    share = f"{num / fit.num_measured:.0%} of {plural(fit.num_measured, 'image', 'images')}"
    where = f"{fit.num_wide:,} at the sides, {fit.num_tall:,} at top and bottom"
    how = "; data.fit: pad or stretch keeps them whole" if fit.name == "crop" else ""
    return (
        f"data.fit: {fit.name}: {share} {'is' if num == 1 else 'are'} {done} to become {width} × {height} px "
        f"(width × height): {where}; half of these by {fit.median:.1%} or more, at most {fit.max:.1%} "
        f"{of_what} ({fit.most}){how}"
    )


def fit_text(fit: FitCounts) -> str:
    """How the images fit the network's size, in a sentence, also where all of them do."""
    if not fit.num_wide + fit.num_tall:
        height, width = fit.image_size
        return f"All images have the shape of the network's {width} × {height} px (width × height)."
    return f"{_fit_note(fit)}."


def crop_text(crop: CropCounts) -> str:
    """To how many images a box of their own was there to crop to, in a sentence."""
    num = crop.found + crop.fallback
    if crop.name == "align":
        fallback = f"; {crop.fallback:,} without known eyes were cropped as data.crop.fallback says"
        return (
            f"{crop.found:,} of {plural(num, 'image', 'images')} aligned by the eyes{fallback * bool(crop.fallback)}."
        )
    what = "a face" if crop.name == "face" else "a box of its own"
    if not crop.fallback:
        return f"Every image was cropped to {what}."
    return (
        f"{crop.found:,} of {plural(num, 'image', 'images')} {'was' if crop.found == 1 else 'were'} cropped "
        f"to {what}; {crop.fallback:,} had none and {'was' if crop.fallback == 1 else 'were'} cropped as "
        "data.crop.fallback says."
    )


def points_text(value: float | None) -> str:
    """A difference of scores in points.

    >>> points_text(0.0751), points_text(-0.012), points_text(-0.0001), points_text(None)
    ('+7.5', '−1.2', '0.0', '–')
    """
    if value is None:
        return "–"
    text = f"{100 * value:+.1f}"
    return ("0.0" if text in ("-0.0", "+0.0") else text).replace("-", "−")


def level_text(level: float) -> str:
    """The level of an interval.

    >>> level_text(0.95), level_text(1 - 0.05 / 3)
    ('95%', '98.3%')
    """
    return f"{100 * level:.3g}%"
