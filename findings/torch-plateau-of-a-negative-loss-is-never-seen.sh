#!/usr/bin/env bash
# torch 2.13.0: ReduceLROnPlateau never lowers the rate while the number that it watches is negative.
#
# A value counts as better where it beats the best one by a ten-thousandth of it, which it finds by best * (1 - threshold), in
# mode "max" best * (1 + threshold). Of a negative best these lie on the wrong side: to stand still is then to improve, and so
# is to get a little worse, after which the worse value is the best one. Negative are the sum of tasks weighted by learned
# uncertainties, a Gaussian's likelihood loss, minus a similarity, and under "max" minus an error, as sklearn's scorers give it.
# 200 epochs of each, patience 5, the rate afterwards over the one at the start (1e-8 is as low as eps lets it), seen here:
#   a constant 1.0                    1e-8       a constant -1.0                          1.0
#   1.0, worse by .00005 each time    1e-8       -1.0, worse by .00005 each time          1.0
#   a constant -1.0, mode "max"       1.0        a constant -1.0, threshold_mode "abs"    1e-8
# Nothing is said, the schedule just is none. Such a number needs threshold_mode="abs".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q torch==2.13.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

warnings.simplefilter("error")


def rate(start, change=0.0, **settings):
    """The rate after 200 epochs of a number that starts somewhere and changes by as much each epoch, and the best seen."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = ReduceLROnPlateau(optimizer, patience=5, **settings)
    for epoch in range(200):
        optimizer.step()
        schedule.step(start + change * epoch)
    return optimizer.param_groups[0]["lr"], schedule.best


found = {
    "1": rate(1.0),
    "1, worse": rate(1.0, 0.00005),
    "-1": rate(-1.0),
    "-1, worse": rate(-1.0, 0.00005),
    "-1, max": rate(-1.0, mode="max"),
    "-1, max, worse": rate(-1.0, -0.00005, mode="max"),
    "-1, abs": rate(-1.0, threshold_mode="abs"),
}
print(found)
assert all(found[name][0] < 1e-6 for name in ("1", "1, worse", "-1, abs"))
assert all(found[name][0] == 1 for name in ("-1", "-1, worse", "-1, max", "-1, max, worse"))
assert found["-1, worse"][1] > -0.9901 and found["1, worse"][1] == 1
PYTHON
