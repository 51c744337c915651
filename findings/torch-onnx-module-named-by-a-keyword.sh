#!/usr/bin/env bash
# torch 2.13.0: a head that is called "class" trains and is saved, and cannot be exported to ONNX.
#
# nn.ModuleDict takes any string without a dot as a module's name, and torch.export.export takes the network too. The
# step to ONNX after it writes the module's path as Python code, in which class (def, from, in, is, pass, ...) is no
# name. Seen here: {"age": ...} is exported, {"class": ...} fails with torch.onnx's ConversionError, "Failed to decompose
# the FX graph", caused by SyntaxError: invalid syntax. Checkpoints hold the name by then. "class" is what a classifier's
# head is called sooner than anything else; rename the modules before the export, since their names do not reach the file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q "torch==2.13.0" "onnx==1.23.2" "onnxscript==0.7.2" "numpy==2.4.6"
environment/bin/python - <<'PYTHON'
import torch
from torch import nn


class Heads(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(4, 2)})

    def forward(self, features):
        return [head(features) for head in self.heads.values()]


def exported(name):
    network, example = Heads(name).eval(), (torch.zeros(2, 4),)
    torch.export.export(network, example)
    try:
        torch.onnx.export(network, example, dynamo=True, verbose=False)
    except Exception as error:
        return f"{type(error).__name__} by {type(error.__cause__).__name__}"
    return "exported"


age, klass = exported("age"), exported("class")
print(age, "|", klass)
assert age == "exported"
assert klass == "ConversionError by SyntaxError"
PYTHON
