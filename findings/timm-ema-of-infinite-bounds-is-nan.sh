#!/usr/bin/env bash
# timm 1.0.31: the exponential average that it keeps of the weights of its own Gemma 4 ViT answers NaN from the second step on.
#
# ModelEmaV3 averages every floating point value of the state, buffers too, as a + w (b - a). The linear layers of gemma4_vit
# clip to bounds that are buffers, -inf and inf until a checkpoint brings others: inf + w (inf - inf) is NaN. The network that
# is trained has finite losses and gradients; seen here after two updates of a network of one block:
#   the network                   28 buffers at infinity, answers finite
#   its average                   those 28 buffers NaN, answers NaN
#   with exclude_buffers=True     answers finite (but statistics of batch norms, where there are some, are the last batch's)
# What is validated and kept is the average, so a whole training is lost, and a learning rate is blamed for it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q "torch==2.13.0" "torchvision==0.28.0" "timm==1.0.31" "numpy==2.4.6"
environment/bin/python - <<'PYTHON'
import warnings

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
import timm
from timm.utils import ModelEmaV3

warnings.simplefilter("error")
torch.manual_seed(0)
network = timm.create_model("gemma4_vit_167m", num_classes=2, depth=1, embed_dim=48, num_heads=3)
averages = {"average": ModelEmaV3(network, decay=0.9), "without buffers": ModelEmaV3(network, decay=0.9, exclude_buffers=True)}
optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
images = torch.randn(2, 3, 64, 64)
for step in (1, 2):
    loss = torch.nn.functional.cross_entropy(network(images), torch.tensor([0, 1]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    assert loss.isfinite() and all(weight.grad.isfinite().all() for weight in network.parameters())
    for average in averages.values():
        average.update(network, step=step)
found = {}
for name, module in {"network": network, **{name: average.module for name, average in averages.items()}}.items():
    buffers = list(module.buffers())
    with torch.no_grad():
        finite = bool(module.eval()(images).isfinite().all())
    found[name] = sum(int(b.isinf().all()) for b in buffers), sum(int(b.isnan().any()) for b in buffers), finite
print(found)
assert found == {"network": (28, 0, True), "average": (0, 28, False), "without buffers": (28, 0, True)}
PYTHON
