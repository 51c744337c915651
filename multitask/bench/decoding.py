"""Times of fitting decode rules."""

from __future__ import annotations

import time

import numpy as np
import torch

from multitask.bench.timing import Measurement
from multitask.evaluation.decode import DECODE_RULES, LabelledOutputs, ModelOutputs
from multitask.labels import LabelSpace

DECODED = 20_000
DECODE_S = 2.0
"""Seconds that fitting a decode rule on ``DECODED`` images may take."""


def decode_fitting(space: LabelSpace) -> Measurement:
    """Fitting the slowest decode rule on drawn answers, against the time it may take."""
    rng = np.random.default_rng(0)
    labels = space.decode(rng.choice(np.flatnonzero(space.possible), DECODED))
    log_probs = {
        task.name: torch.from_numpy(rng.normal(size=(DECODED, task.num_classes)) + 2 * np.eye(task.num_classes)[column])
        for task, column in zip(space.tasks, labels.T, strict=True)
    }
    outputs = ModelOutputs.of({name: values.log_softmax(dim=1) for name, values in log_probs.items()}, space)
    groups = np.array([f"person {row // 7}" for row in range(DECODED)], dtype=object)
    known = LabelledOutputs(outputs, labels, groups)
    took = {}
    for name, settings in DECODE_RULES.items():
        rule = settings(name=name)
        started = time.perf_counter()
        rule.fit(known, None, 0)
        took[name] = time.perf_counter() - started
    slowest = max(took, key=lambda name: took[name])
    seconds = took[slowest]
    return Measurement(
        f"decode fitting, {DECODED:,} images and {space.num_classes} classes, to {DECODE_S:g} s",
        DECODE_S / seconds,
        None,
        None,
        1.0,
        seconds,
        DECODE_S,
        "s",
        f"the slowest rule, {slowest}; " + ", ".join(f"{name} {value:.2f} s" for name, value in took.items()),
    )
