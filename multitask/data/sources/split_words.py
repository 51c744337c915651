"""The words by which a source assigns images to training, validation and test."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from multitask.data.samples import SIDES
from multitask.errors import UserError
from multitask.labels import MISSING
from multitask.settings import Settings
from multitask.utils.spelling import Name, canonical, without_fraction

Word = Annotated[Name, Field(min_length=1)]


class SplitWords(Settings):
    """The words by which a source assigns an image to a split, in upper or lower case."""

    train: Annotated[tuple[Word, ...], Field(min_length=1)] = ("train", "training")
    val: tuple[Word, ...] = ("val", "valid", "validation", "dev")
    """None: of those who train, ``data.val_fraction`` or ``data.folds`` has some validate."""
    test: tuple[Word, ...] = ("test", "testing", "eval", "holdout")
    """They neither train nor pick anything: no epoch, no decode rule. ``multitask evaluate RUN --split test`` scores
    them."""

    @model_validator(mode="after")
    def _check(self) -> SplitWords:
        known: dict[str, str] = {}
        for side in SIDES:
            for word in getattr(self, side):
                other = known.setdefault(word.casefold(), side)
                if other != side:
                    raise ValueError(f"{side}: {word!r} stands in {other} too")
        return self

    @property
    def says_val(self) -> bool:
        """Whether there are words for validation."""
        return bool(self.val)

    def side(self, text: str) -> int:
        """The index into ``SIDES`` that a word means; ``MISSING`` where that is left to a random split.

        Raises:
            UserError: it is not one of the words.
        """
        word = canonical(text).casefold()
        for index, side in enumerate(SIDES):
            if {word, without_fraction(word)} & {known.casefold() for known in getattr(self, side)}:
                return index if index or self.val else MISSING
        words = ", ".join(f"{' or '.join(getattr(self, side))} ({side})" for side in SIDES if getattr(self, side))
        raise UserError(
            f"must be {words}, found {text!r}; splits: {{train: [...], val: [...], test: [...]}} names others"
        )
