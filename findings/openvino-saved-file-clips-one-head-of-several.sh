#!/usr/bin/env bash
# openvino 2026.4.1: a file of save_model answers 65,504 at most for a head that was exact before, if other heads are small.
#
# save_model writes weights as half floats unless compress_to_fp16=False; the documents speak of a minor loss of accuracy. A
# half float ends at 65,504. A constant of which three quarters or more lie beyond stays a float; of any other, what lies
# beyond is cut to 65,504, and what lies below 3e-8 becomes 0. So a network for one price in won keeps the mean that it adds,
# and a network for age and price, whose means are one constant, does not. Answers to a picture of zeros, seen here:
#   means of the heads       network     converted     saved and read     with compress_to_fp16=False
#   120000                   120000       120000          120000               120000
#   34, 120000             34, 120000   34, 120000       34, 65504           34, 120000
# The same for the bias of one Linear of both heads. The model in memory, which one tests after convert_model, is right, as are
# the ages; every price in the deployed file is too low by the same. No error and no warning. Pass compress_to_fp16=False, or
# scale the answers outside of the network; and compare the file's answers with the network's, head by head.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q openvino==2026.4.1 torch==2.13.0 numpy==2.4.6
cat > heads.py <<'PYTHON'
import openvino
import torch
from torch import nn


class Heads(nn.Module):
    """Answers of one Linear, in standard deviations, put back to the units of the table."""

    def __init__(self, means):
        super().__init__()
        self.linear = nn.Linear(4, len(means))
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("means", torch.tensor(means))

    def forward(self, features):
        return self.linear(features) + self.means


def last_layer(means):
    """The same, the means being the layer's bias."""
    linear = nn.Linear(4, len(means))
    with torch.no_grad():
        linear.bias.copy_(torch.tensor(means))
    return linear


def answers(network):
    """Answers of the network, of the converted model, and of the two files."""
    zeros = torch.zeros(1, 4)
    converted = openvino.convert_model(network.eval(), example_input=zeros)
    openvino.save_model(converted, "half.xml")
    openvino.save_model(converted, "float.xml", compress_to_fp16=False)
    models = converted, core.read_model("half.xml"), core.read_model("float.xml")
    # float32 arithmetic, so that the file alone makes a difference
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    found = [core.compile_model(model, "CPU", settings)(zeros)[0] for model in models]
    return [network(zeros)[0].tolist(), *(values[0].tolist() for values in found)]


core = openvino.Core()
torch.manual_seed(0)
for means in ([120000.0], [34.0, 120000.0]):
    for network in (Heads(means), last_layer(means)):
        found = answers(network)
        print(type(network).__name__, *found)
        kept = [34.0, 65504.0] if len(means) == 2 else means
        assert found == [means, means, kept, means]
PYTHON
environment/bin/python heads.py
