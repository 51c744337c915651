#!/usr/bin/env bash
# torch 2.13.0: fusing batch norm into a convolution that has two of them folds the wrong one, or both, into each use.
#
# A network for several tasks or sources of pictures shares its convolutions and has a batch norm for each (domain-specific or
# split batch norm), or gives one head normalised features and another those of the convolution itself. torch.fx's fuse and
# fuse_fx of torch's quantization write a convolution with the norm folded in over the one that is shared, and leave the norm
# out: fuse folds both norms into both uses, fuse_fx the second one. Greatest error of the two answers, whose standard deviation
# is 1 to 2, seen here:
#                                         fuse                 fuse_fx
#   two norms of one convolution          2.0 and 3.0          2.9 and 8e-7
#   norm for one head, none for another   1e-6 and 4.8         1e-6 and 4.8
#   two convolutions, a norm each         8e-7 and 1e-6        8e-7 and 1e-6
# One would have guessed that what is shared is copied or left as it is, as a fusion is to keep every answer. No error and no
# warning of it; the fused network has the same shapes and is saved and exported. Compare the answers before and after.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q torch==2.13.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it tells that it will move to torchao
    from torch.ao.quantization.quantize_fx import fuse_fx


class Shared(nn.Module):
    """One convolution, and a norm for the pictures of each source."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4)])

    def forward(self, photos, scans):
        return self.norms[0](self.convolution(photos)), self.norms[1](self.convolution(scans))


class Unnormalised(Shared):
    """A norm for one head only."""

    def forward(self, photos, scans):
        return self.norms[0](self.convolution(photos)), self.convolution(scans)


class Separate(Shared):
    """A convolution for each norm."""

    def __init__(self):
        super().__init__()
        self.second = nn.Conv2d(3, 4, 3)

    def forward(self, photos, scans):
        return self.norms[0](self.convolution(photos)), self.norms[1](self.second(scans))


def errors(kind, how):
    """Greatest difference that fusing makes to the answer for each source."""
    torch.manual_seed(0)
    network = kind()
    for _ in range(100):
        network(torch.randn(8, 3, 8, 8), 3 * torch.randn(8, 3, 8, 8) + 2)
    pictures = torch.randn(8, 3, 8, 8), 3 * torch.randn(8, 3, 8, 8) + 2
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("error", UserWarning)
        network.eval()
        before, after = network(*pictures), how(network)(*pictures)
    return [float((a - b).abs().max()) for a, b in zip(before, after)]


wrong = {(Shared, fuse): [True, True], (Shared, fuse_fx): [True, False]}
wrong.update({(Unnormalised, how): [False, True] for how in (fuse, fuse_fx)})
wrong.update({(Separate, how): [False, False] for how in (fuse, fuse_fx)})
for (kind, how), which in wrong.items():
    found = errors(kind, how)
    print(kind.__name__, how.__name__, *(f"{error:.2g}" for error in found))
    assert all(error > 0.5 if told else error < 1e-5 for error, told in zip(found, which))
PYTHON
