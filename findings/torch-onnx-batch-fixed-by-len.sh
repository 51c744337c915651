#!/usr/bin/env bash
# torch 2.13.0: torch.onnx.export with a dynamic batch writes a file for the example's batch only, and says nothing.
#
# dynamic_shapes declares the first axis dynamic. Where the forward pass takes len(images) rather than images.shape[0],
# the file's input is fixed at the size of the example batch: no error, no exception, with verbose=False not a word.
# Seen here: [2, 3, 4, 4] of the one network, ['N', 3, 4, 4] of the other, which computes the same.
# So the first job with another batch size, or the last batch of it, is refused by the runtime, after deployment. Compare
# the dimensions of the written graph's inputs with what was declared before a file is kept.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q "torch==2.13.0" "onnx==1.23.2" "onnxscript==0.7.2" "numpy==2.4.6"
environment/bin/python - <<'PYTHON'
import torch
from torch import nn

class ByLen(nn.Module):
    def forward(self, images):
        return images.reshape(len(images), -1).mean(dim=1)


class ByShape(nn.Module):
    def forward(self, images):
        return images.reshape(images.shape[0], -1).mean(dim=1)


def written_shape(network):
    example, shapes = torch.zeros(2, 3, 4, 4), {"images": {0: torch.export.Dim("N")}}
    program = torch.onnx.export(network.eval(), (example,), dynamo=True, dynamic_shapes=shapes, verbose=False)
    return [size.dim_param or size.dim_value for size in program.model_proto.graph.input[0].type.tensor_type.shape.dim]


by_len, by_shape = written_shape(ByLen()), written_shape(ByShape())
print(by_len, by_shape)
assert by_len == [2, 3, 4, 4]
assert by_shape == ["N", 3, 4, 4]
PYTHON
