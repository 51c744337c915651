#!/usr/bin/env bash
# TensorBoard 2.21.0: its own reader of event files hands out 10,000 scalars of a tag, drawn at random, however many there are.
#
# EventAccumulator(folder) is how scripts read runs back, to find the best step or to draw a curve for a paper. Beyond 10,000
# values it keeps a random sample and the last one, and nothing says so: a sample of a curve looks like the curve. A run of
# 30,000 steps with a checkpoint at every thousandth, of which that at 20,000 is the best, .99 where others have .8 to .9:
#   EventAccumulator(folder)                                    10,000 steps, 11 of 29 checkpoints, the best value is .90
#   EventAccumulator(folder, size_guidance={"scalars": 0})      30,000 steps, 29 of 29, .99
# The sample is seeded, so it is the same steps each time, for every run and tag: a best value has one chance in three to be
# there. No error and no warning; of 10,000 values or fewer none is left out, so that shorter runs and tests of it are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q tensorboard==2.21.0 tensorboardX==2.6.5 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import SummaryWriter

warnings.simplefilter("error")
values = 0.8 + 0.1 * np.random.default_rng(0).random(30_000)
values[20_000] = 0.99
with SummaryWriter("run") as writer:
    for step, value in enumerate(values):
        writer.add_scalar("accuracy", value, step)
        if step < 10_000:
            writer.add_scalar("short", value, step)


def read(tag, **settings):
    """How many steps there are, how many of every thousandth, and the best value."""
    reader = EventAccumulator("run", **settings)
    reader.Reload()
    scalars = {each.step: each.value for each in reader.Scalars(tag)}
    return len(scalars), sum(step in scalars for step in range(1000, 30_000, 1000)), round(max(scalars.values()), 2)


plain, whole, short = read("accuracy"), read("accuracy", size_guidance={"scalars": 0}), read("short")
print(plain, whole, short)
assert whole == (30_000, 29, 0.99) and short[:2] == (10_000, 9)
assert plain[0] == 10_000 and plain[1] < 20 and plain[2] == 0.9
PYTHON
