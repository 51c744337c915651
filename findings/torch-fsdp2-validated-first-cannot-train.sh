#!/usr/bin/env bash
# torch 2.13.0: a network that fully_shard (FSDP2) shards and that answers first under torch.inference_mode cannot be trained
# afterwards.
#
# Scores are often taken once before the first epoch, or of a checkpoint before it is trained further, and inference_mode is
# the usual context for that. A network of one process, or one that only DistributedDataParallel wraps, then trains on. A
# sharded one gathers its weights into buffers that it makes at its first pass and uses again: made under inference_mode they
# are inference tensors for good, and the first training step raises "Inplace update to inference tensor outside InferenceMode
# is not allowed", which names neither the validation nor FSDP. Under torch.no_grad all is well.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q "torch==2.13.0" "numpy==2.4.6"
cat >try.py <<'PYTHON'
import os
from contextlib import nullcontext

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import nn
from torch.distributed.fsdp import fully_shard


def trained(context, sharded):
    """What becomes of two steps of training after one answer under a context."""
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    if sharded:
        fully_shard(network[0])
        fully_shard(network)
    images = torch.ones(3, 4)
    with context():
        network(images)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    try:
        for _ in range(2):
            network(images).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    except RuntimeError as error:
        return str(error).partition(".")[0]
    return "trained"


def work(rank, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    found = {context.__name__: trained(context, True) for context in (nullcontext, torch.no_grad, torch.inference_mode)}
    found["inference_mode, not sharded"] = trained(torch.inference_mode, False)
    if rank == 0:
        print(found)
    assert found == {
        "nullcontext": "trained",
        "no_grad": "trained",
        "inference_mode": "Inplace update to inference tensor outside InferenceMode is not allowed",
        "inference_mode, not sharded": "trained",
    }
    dist.destroy_process_group()


if __name__ == "__main__":
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = str(free.getsockname()[1])
    torch.multiprocessing.spawn(work, (number,), nprocs=2)
PYTHON
environment/bin/python try.py
