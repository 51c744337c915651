from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from multitask.errors import UserError
from multitask.inference.outputs import Rows
from multitask.inference.predictor import Predictor
from multitask.inference.stream import ImageInput, InputBatch, read_batches


@pytest.fixture
def make_rows(shades: Predictor) -> Callable[..., Rows]:
    """Rows of images by their shade, None for one that cannot be read: ``make_rows([0, None, 40])``."""

    def make(of_shades: Sequence[int | None], names: Sequence[str] | None = None) -> Rows:
        chosen = names or [f"{row}.png" for row in range(len(of_shades))]
        inputs = tuple(
            ImageInput(name, Path(name) if shade is None else Image.new("L", (8, 8), shade), group=f"g{row}")
            for row, (name, shade) in enumerate(zip(chosen, of_shades, strict=True))
        )
        [batch] = read_batches(inputs, shades.spec.preprocessing(), len(inputs))
        assert isinstance(batch, InputBatch)
        assert all(isinstance(error, UserError) for error in batch.errors.values())
        return Rows(batch.inputs, shades.predict_readable(batch), batch.errors)

    return make
