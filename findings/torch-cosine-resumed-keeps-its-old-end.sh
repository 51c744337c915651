#!/usr/bin/env bash
# torch 2.13.0: a run with CosineAnnealingLR that is resumed for more epochs climbs back to its full learning rate.
#
# The rate falls along half a cosine over T_max epochs. Whoever finds that ten epochs were too few sets the number to twenty,
# in the config and so in T_max, and resumes. load_state_dict writes the old T_max over the new one: the schedule is past its
# end, and what follows the end of half a cosine is the other half. Rates of the ten epochs after a resume, of .1 at first,
# seen here:
#   as resumed               .002 .010 .021 .035 .050 .065 .079 .090 .098 .100
#   T_max set to 20 then     .000 .000 .000 .000 .000 .000 .000 .000 .000 .000
#   twenty from the start    .042 .035 .027 .021 .015 .010 .005 .002 .001 .000
# So the last epoch, whose weights are kept, is trained at the full rate. No error and no warning; scheduler.T_max says 10. To
# put it right there holds nothing better: each rate is computed from the one before, which was 0. OneCycleLR refuses to be
# stepped past its end. Load the optimizer, give it back the first rate, and step a new scheduler to the epoch that was
# reached.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q torch==2.13.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import copy
import warnings

import torch

warnings.simplefilter("error")


def begin(epochs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)


def train(optimizer, scheduler):
    """The rates after each of ten epochs."""
    rates = []
    for _ in range(10):
        optimizer.step()
        scheduler.step()
        rates.append(round(optimizer.param_groups[0]["lr"], 3))
    return rates


def resume(kept, epochs):
    optimizer, scheduler = begin(epochs)
    optimizer.load_state_dict(kept[0])
    scheduler.load_state_dict(kept[1])
    return optimizer, scheduler


ended = begin(10)
assert train(*ended)[-1] == 0
kept = [copy.deepcopy(each.state_dict()) for each in ended]
optimizer, scheduler = resume(kept, 20)
assert scheduler.T_max == 10
resumed = train(optimizer, scheduler)
optimizer, scheduler = resume(kept, 20)
scheduler.T_max = 20
put_right = train(optimizer, scheduler)
whole = begin(20)
train(*whole)
whole = train(*whole)
print(resumed, put_right, whole)
assert resumed == sorted(resumed) and resumed[-1] == 0.1
assert put_right == [0] * 10
assert whole == sorted(whole, reverse=True) and whole[0] > 0.04 and whole[-1] == 0
optimizer, scheduler = begin(20)
optimizer.load_state_dict(kept[0])
optimizer.param_groups[0]["lr"] = 0.1
train(optimizer, scheduler)
assert train(optimizer, scheduler) == whole
PYTHON
