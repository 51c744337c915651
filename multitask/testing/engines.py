"""The contract of engines."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from multitask.data.images import Pixels
from multitask.inference.engines import Engine, EngineSettings
from multitask.inference.engines.auto import largest_gap
from multitask.labels import JOINT
from multitask.testing.expect import expect, expect_refusal

Check = Callable[[EngineSettings, Engine, Pixels, float], None]
_BATCHES = (1, 2, 33)


def outputs_are_log_probabilities_of_every_head(
    settings: EngineSettings, engine: Engine, pixels: Pixels, tolerance: float
) -> None:
    """In float64, of batches of any size; the images stay as they are."""
    spec = engine.spec
    widths = {task.name: task.num_classes for task in spec.learned.tasks}
    if spec.joint_term:
        widths[JOINT] = spec.learned.num_classes
    for size in _BATCHES:
        batch = pixels[:size].copy()
        found = engine.log_probs(batch)
        expect({*found} >= {*widths}, settings, f"give log-probabilities of {', '.join(widths)}")
        for name, width in widths.items():
            values = found[name]
            right = values.shape == (size, width) and values.dtype == np.float64
            expect(right, settings, f"give {name} as ({size}, {width}) float64 for {size} images")
            expect(not np.isnan(values).any(), settings, f"give numbers for {name}")
            close = np.abs(np.exp(values).sum(axis=1) - 1).max() < 1e-6
            expect(close, settings, f"give log-probabilities of {name} whose exponentials sum to 1")
        expect(np.array_equal(batch, pixels[:size]), settings, "leave the images as they are")


def an_image_is_answered_alike_alone_and_among_others(
    settings: EngineSettings, engine: Engine, pixels: Pixels, tolerance: float
) -> None:
    """But for rounding."""
    together = engine.log_probs(pixels)
    for row in range(3):
        gap = largest_gap(engine.log_probs(pixels[row : row + 1]), {k: v[row : row + 1] for k, v in together.items()})
        expect(gap <= tolerance, settings, f"answer an image alike alone and among others, but for {tolerance:g}")


def threads_may_ask_at_once(settings: EngineSettings, engine: Engine, pixels: Pixels, tolerance: float) -> None:
    """Each gets the answers to its own images."""
    parts = [pixels[start : start + 4] for start in range(0, 32, 4)] * 4
    alone = [engine.log_probs(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(engine.log_probs, parts))
    gap = max(largest_gap(one, other) for one, other in zip(alone, at_once, strict=True))
    expect(gap <= tolerance, settings, "give threads that ask at once the answers to their own images")


ENGINE_CHECKS: tuple[Check, ...] = (
    outputs_are_log_probabilities_of_every_head,
    an_image_is_answered_alike_alone_and_among_others,
    threads_may_ask_at_once,
)
"""What is asked of an opened engine."""


def check_engine(
    settings: EngineSettings, path: Path, reference: Engine | None = None, tolerance: float = 1e-4
) -> None:
    """Checks the contract of an engine.

    Args:
        settings: the row's.
        path: a run's folder or an exported file, which it opens.
        reference: another engine with the same network, as ``ENGINES["torch"]().open(run, None, False)``; its outputs
            must be this one's. None: they are not compared.
        tolerance: of differences of log-probabilities, relative to those beyond 1.

    Raises:
        AssertionError: the engine does not keep it.
    """
    expect(settings.missing() is None, settings, f"be installed to be checked: {settings.missing()}")
    engine = settings.open(path, None, False)
    shape = (max(_BATCHES), *engine.spec.image_size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for check in ENGINE_CHECKS:
        check(settings, engine, pixels, tolerance)
    if reference is not None:
        gap = largest_gap(engine.log_probs(pixels), reference.log_probs(pixels))
        expect(gap <= tolerance, settings, f"give what another engine gives, but for {tolerance:g}, not {gap:.2g}")
    refuses_what_it_cannot_open(settings)


def refuses_what_it_cannot_open(settings: EngineSettings) -> None:
    """In one line that names the path."""
    with tempfile.TemporaryDirectory() as folder:
        damaged = Path(folder, "damaged.onnx")
        damaged.write_bytes(b"\x08\x0a" * 50)
        for path in (damaged, Path(folder)):
            action = partial(settings.open, path, None, False)
            expect_refusal(action, settings, str(path), "refuse what is neither a run nor an exported file")
