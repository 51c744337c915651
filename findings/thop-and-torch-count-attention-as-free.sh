#!/usr/bin/env bash
# thop 0.1.1.post2209072238 and torch 2.13.0: the multiply-adds of a transformer are told without its attention, or as 0.
#
# Backbones are chosen by these numbers. thop's profile hooks layers that it has a rule for, as convolutions and Linear, and
# takes others for free, with their weights. MultiheadAttention, of which torch's transformer layers and torchvision's vision
# transformers are built, has none, and the Linear inside it is not called as a layer. torch's FlopCounterMode counts operators
# (twice the multiply-adds), but on a CPU not the one that attention is computed by, nor the single one that a
# TransformerEncoderLayer becomes in evaluation without gradients. Millions of multiply-adds, seen here:
#                                              by hand    thop    torch, training    torch, eval() and no_grad()    torch, meta
#   four convolutions                             7.0      7.0          7.0                     7.0                     7.0
#   TransformerEncoderLayer, 196 tokens of 64    14.6      6.4          9.6                      0                     14.6
#   the same, 784 tokens                        117.2     25.7         38.5                      0                    117.2
# Of the layer's 49,984 parameters thop counts 33,344. What is twice as dear looks cheaper, the more so the
# larger the pictures. No warning; thop tells of layers without a rule only with report_missing=True. Count with torch on the
# device "meta", where attention is taken apart, and parameters by numel().
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q thop==0.1.1.post2209072238 torch==2.13.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import copy
import warnings

import torch
from thop import profile
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

warnings.simplefilter("error")
torch.set_num_threads(1)
NORMS = {nn.LayerNorm: lambda layer, given, answer: None}  # thop counts them, torch and the sum by hand do not


def by_torch(network, example):
    with FlopCounterMode(display=False) as counter:
        network(example)
    return counter.get_total_flops() / 2


def counted(network, example):
    """Multiply-adds by thop, by torch in training, in evaluation without gradients, and on the device meta."""
    by_thop, _ = profile(network, (example,), custom_ops=NORMS, verbose=False)
    training = by_torch(network.train(), example)
    with torch.no_grad():
        evaluation = by_torch(network.eval(), example)
        meta = by_torch(copy.deepcopy(network).to("meta"), example.to("meta"))
    return by_thop, training, evaluation, meta


sizes = 3, 16, 32, 64, 32
layers = [nn.Conv2d(inside, outside, 3, 2, 1) for inside, outside in zip(sizes, sizes[1:])]
by_hand = sum(9 * layer.in_channels * layer.out_channels * (48 >> place) ** 2 for place, layer in enumerate(layers))
found = counted(nn.Sequential(*layers), torch.zeros(1, 3, 96, 96))
print(by_hand, found)
assert found == (by_hand,) * 4

for tokens in (196, 784):
    layer = nn.TransformerEncoderLayer(64, 4, 256, dropout=0, batch_first=True)
    perceptron, projections, products = 2 * 64 * 256 * tokens, 4 * 64 * 64 * tokens, 2 * 64 * tokens * tokens
    found = counted(layer, torch.zeros(1, tokens, 64))
    print(perceptron + projections + products, found)
    assert found == (perceptron, perceptron + projections, 0, perceptron + projections + products)

parameters = profile(layer, (torch.zeros(1, 196, 64),), verbose=False)[1]
print(parameters, sum(each.numel() for each in layer.parameters()))
assert parameters == sum(each.numel() for each in layer.parameters()) - sum(
    each.numel() for each in layer.self_attn.parameters()
)
PYTHON
