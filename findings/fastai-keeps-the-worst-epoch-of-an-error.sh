#!/usr/bin/env bash
# fastai 2.8.12: SaveModelCallback(monitor="mae") keeps the worst epoch, as it takes fastai's own mae, mse and rmse for scores.
#
# Whether a metric is to fall or to rise is read from its name: one that holds "loss" or "error" shall fall, any other shall
# rise. Of the regression metrics of fastai itself none has such a name; nor has perplexity, a Brier score or an age's MAE. So
# the checkpoint that is loaded at the end of the training is that of the greatest error, early stopping ends a run whose error
# falls, and ReduceLROnPlateau cuts the rate while all is well. A line fitted in eight epochs, seen here:
#   mae of the epochs                                   .88 .76 .. .36 .31
#   network that SaveModelCallback(monitor="mae") loads        .88, of the first epoch
#   the same with comp=np.less                                 .31, of the last
#   EarlyStoppingCallback(monitor="mae", patience=2)           ends after three epochs
# The printed line says "Better model found at epoch 0", which reads as if training did not help. No warning; pass comp=.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q fastai==2.8.12 torch==2.13.0 torchvision==0.28.0 pandas==3.1.1 pillow==13.0.0 numpy==2.4.6
export FASTAI_HOME="$folder/home"
environment/bin/python - <<'PYTHON'
import numpy as np
import torch

try:
    import torchvision
except RuntimeError:  # a CPU build of torch beside torchvision's usual build: its compiled operators are not needed here
    import sys

    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    schemas = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        schemas.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from fastai.callback.core import Callback
from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.metrics import mae, mse, rmse
from fastai.optimizer import SGD
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.set_num_threads(1)
torch.manual_seed(0)
points = torch.linspace(-1, 1, 64)[:, None]
pairs = TensorDataset(points, 2 * points)
loader = DataLoader(pairs, batch_size=64)


def trained(metric, callback):
    """Value of the metric after each epoch, and of the network that is left at the end."""
    network = nn.Linear(1, 1)
    nn.init.zeros_(network.weight)
    nn.init.zeros_(network.bias)
    learner = Learner(
        DataLoaders(loader, loader, device=torch.device("cpu")), network, loss_func=nn.MSELoss(), metrics=metric, opt_func=SGD
    )
    with learner.no_bar():
        learner.fit(8, lr=0.2, cbs=callback)
    values = [float(row[2]) for row in learner.recorder.values]
    with learner.no_bar():
        return values, float(learner.validate()[1])


for metric, name in ((mae, "mae"), (mse, "mse"), (rmse, "_rmse")):
    values, kept = trained(metric, SaveModelCallback(monitor=name))
    told = trained(metric, SaveModelCallback(monitor=name, comp=np.less))[1]
    stopped = trained(metric, EarlyStoppingCallback(monitor=name, patience=2))[0]
    print(name, np.round(values, 2), round(kept, 2), round(told, 2), len(stopped))
    assert values == sorted(values, reverse=True) and values[-1] < 0.6 * values[0]
    assert abs(kept - values[0]) < 1e-6 and abs(told - values[-1]) < 1e-6 and len(stopped) == 3
PYTHON
