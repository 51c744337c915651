"""Reads a table of many rows, splits it, and goes through two epochs' batches; says how much memory it took at
most, and after the imports alone, in MiB.

A process of its own, for ``test_index.py``: python index_of_many.py TABLE
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from multitask.config import Config
from multitask.data.loading import Batches
from multitask.data.samplers import ClassWeightedSettings
from multitask.data.splits import split_samples
from multitask.data.targets import Targets
from multitask.settings import validate


def peak_mib() -> float:
    # Not getrusage's: that of a process that a large one started begins with what the large one had.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def main() -> None:
    table = Path(sys.argv[1])
    imported = peak_mib()
    config = validate(
        Config,
        {
            "labels": {
                "tasks": {
                    "garment": {"classes": ["shirt", "skirt", "trousers"]},
                    "colour": {"classes": ["red", "green", "blue"]},
                    "price": {"kind": "binned", "edges": [20, 50]},
                }
            },
            "data": {"root": str(table.parent), "source": {"name": "table", "file": table.name, "group": "product"}},
            "model": {"backbone": {"name": "test_resnet", "weights": "none"}},
        },
    )
    samples = config.data.source.samples(table.parent, config.space())
    split = split_samples(config.data, samples, samples, np.arange(len(samples)), config.seed)
    # Of the images nothing is kept here: this is about the index.
    images = np.broadcast_to(np.zeros((1, 2, 2, 3), dtype=np.uint8), (len(samples), 2, 2, 3))
    learned = Targets.of(samples, config.learned_space(), False)
    for sampler in (None, ClassWeightedSettings()):
        batches = Batches(samples, learned, images, split.train, 256, shuffle=True, sampler=sampler)
        served = sum(len(batch) for batch in batches.epoch(1))
        assert served == len(split.train)
    assert samples.paths()[len(samples) - 1].is_relative_to(table.parent)
    sys.stdout.write(f"{len(samples)} {imported:.0f} {peak_mib():.0f}")


main()
