"""Drawn faces in the competition's layout: data that anyone may have, with answers known and errors planted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from multitask.data.samples import Samples
from multitask.data.sources.competition import CompetitionLayout
from multitask.errors import UserError
from multitask.labels import LabelSpace
from multitask.settings import Fraction, PositiveInt, Seed, Settings


class DrawSettings(Settings):
    """The synthetic set to draw where there is none."""

    people: Annotated[PositiveInt, Field(le=100_000)] = 320
    """To train and validate on, seven images each; a quarter as many others are in eval."""
    seed: Seed = 0
    noise: Fraction = 0.0
    """The share of the people whose gender is labelled wrong."""


class SyntheticSettings(CompetitionLayout):
    """The set that ``multitask synth`` draws; with ``draw`` it is drawn first where it is absent."""

    name: Literal["synthetic"] = "synthetic"
    draw: DrawSettings | None = None

    def samples(self, root: Path, space: LabelSpace) -> Samples:
        """Seven samples per drawn person."""
        if self.draw is not None:
            self._ensure(self.draw, root)
        elif not (root / "synth.json").exists():
            raise UserError(f"{root}: holds no synthetic set; draw one with `multitask synth {root} --people 320`")
        return super().samples(root, space)

    def _ensure(self, draw: DrawSettings, root: Path) -> None:
        """Draws the set unless it is there, and says so if another one is."""
        manifest = root / "synth.json"
        if not root.exists():
            from multitask.data.synthetic import draw_set

            draw_set(root, people=draw.people, seed=draw.seed, noise=draw.noise)
            return
        try:
            drawn = json.loads(manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            drawn = None
        if not isinstance(drawn, dict):
            raise UserError(f"{root}: exists and holds no synthetic set; name another data.root")
        for key, wanted in draw.model_dump().items():
            if drawn.get(key) != wanted:
                raise UserError(f"data.source.draw.{key}: {root} was drawn with {drawn.get(key)}, found {wanted}")
