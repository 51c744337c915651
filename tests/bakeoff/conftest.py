"""What tests of bake-offs need: a file beside its base, on the drawn set, of runs of a second; a second decode rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic.fields import FieldInfo
from torch import Tensor

from multitask.config import Config
from multitask.evaluation.decode import DecodeSettings, IndependentSettings
from multitask.labels import LabelSpace
from multitask.settings import Int, variants
from multitask.yaml_text import dump_yaml

QUICK = {"training.epochs": 1, "training.schedule.warmup_epochs": 0}
TWO: dict[str, Any] = {"flat": {"overrides": {"model.sharing.name": "flat"}}, "shared": None}


def write_bakeoff(folder: Path, base: Config, /, **settings: Any) -> Path:
    """A bake-off file and its base, which leaves the heads at their defaults, since contenders have other heads."""
    data = base.model_dump(mode="json", exclude={"heads"})
    (folder / "base.yaml").write_text(dump_yaml(data))
    path = folder / "bakeoff.yaml"
    path.write_text(dump_yaml({"name": "tiny", "base": "base.yaml", "contenders": TWO, "seeds": 2, **settings}))
    return path


@pytest.fixture
def bakeoff_file(tiny: Callable[..., Config], tmp_path: Path) -> Callable[..., Path]:
    """Writes a bake-off file beside its base: ``bakeoff_file({"training.epochs": 3}, folds=2)``."""

    def make(changes: dict[str, Any] | None = None, /, **settings: Any) -> Path:
        return write_bakeoff(tmp_path, tiny({**QUICK, **(changes or {})}), **settings)

    return make


class ShiftedSettings(DecodeSettings):
    """The independent rule's class, some classes on: a rule that needs no better reason."""

    name: Literal["shifted"] = "shifted"
    by: Int = 1

    def decode(self, log_probs: Mapping[str, Tensor], space: LabelSpace) -> NDArray[np.int64]:
        """(N,) classes."""
        return (IndependentSettings().decode(log_probs, space) + self.by) % space.num_classes


@pytest.fixture
def shifted_rule() -> Iterator[None]:
    """A config knows a second decode rule."""
    fields = Config.__pydantic_fields__
    before = fields["decode"]
    row = Annotated[IndependentSettings | ShiftedSettings, *variants("independent")]
    fields["decode"] = FieldInfo.from_annotated_attribute(row, IndependentSettings())
    Config.model_rebuild(force=True)
    yield
    fields["decode"] = before
    Config.model_rebuild(force=True)
