#!/usr/bin/env bash
# timm 1.0.31 and torch 2.13.0: the layer_decay of timm's optimizer does nothing under a torch scheduler, or under none.
#
# create_optimizer_v2(model, ..., layer_decay=.5) makes groups of parameters for each layer and, by its docstring, scales
# their learning rates. What it does is to write a factor, lr_scale, into each group beside the one full rate; only timm's own
# schedulers multiply by it. torch's optimizers and schedulers carry the key along and never look at it. One step of plain SGD
# of a ViT of 12 blocks, how far weights moved for each unit of their gradient, over the learning rate, seen here:
#                                patch embedding    first block    last block    head
#   no scheduler, or torch's          1.0               1.0            1.0        1.0
#   timm's CosineLRScheduler       .00012            .00024             .5        1.0
# So the pretrained layers that were to be held are trained at the full rate, 8,000 times the one that was meant, and the
# groups and their lr_scale all look right. Without timm's schedulers, set group["lr"] *= group["lr_scale"] once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q "torch==2.13.0" "torchvision==0.28.0" "timm==1.0.31" "numpy==2.4.6"
environment/bin/python - <<'PYTHON'
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
import warnings

import timm
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

LR, LAYERS = 0.1, ("patch_embed.proj.weight", "blocks.0.mlp.fc1.weight", "blocks.11.mlp.fc1.weight", "head.weight")


def steps(schedule):
    """How far one step moves four layers, over the learning rate and the length of their gradients."""
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", num_classes=3, img_size=32)
    optimizer = create_optimizer_v2(network, "momentum", lr=LR, momentum=0.0, weight_decay=0.0, layer_decay=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule(optimizer)
    rates = [group["lr"] for group in optimizer.param_groups]
    start = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    network(torch.randn(4, 3, 32, 32)).square().sum().backward()
    optimizer.step()
    weights = dict(network.named_parameters())
    moved = [((start[name] - weights[name]).norm() / weights[name].grad.norm()).item() for name in LAYERS]
    assert min(group["lr_scale"] for group in optimizer.param_groups) < 0.001  # the groups are as they should be
    return [round(step / max(rates), 5) for step in moved]


found = {
    "none": steps(lambda optimizer: None),
    "torch cosine": steps(lambda optimizer: CosineAnnealingLR(optimizer, 10)),
    "torch one cycle": steps(lambda optimizer: OneCycleLR(optimizer, max_lr=LR, total_steps=10)),
    "timm cosine": steps(lambda optimizer: CosineLRScheduler(optimizer, t_initial=10)),
}
print(found)
for name in ("none", "torch cosine", "torch one cycle"):
    assert all(0.98 < step < 1.02 for step in found[name])
timms = found["timm cosine"]
assert timms[0] < timms[1] < 0.001 and 0.49 < timms[2] < 0.51 and 0.98 < timms[3] < 1.02
PYTHON
