#!/usr/bin/env bash
# peft 0.21.2: a network with batch norm that was fine-tuned by adapters answers otherwise once it is saved and loaded.
#
# get_peft_model freezes the weights and saves what it trains, the adapters and modules_to_save. The running means and variances
# of batch norm are no weights: they are not frozen, so a pass in training mode moves them to the new pictures, and they are not
# saved. Whoever loads the adapter onto the pretrained network gets that network's statistics under adapters that were trained
# and validated with others. Bright pictures, then 128 dark ones of other classes, accuracy on fresh dark ones, seen here:
#   pretrained .50     as trained 1.0     saved and loaded .50     with the batch norm in modules_to_save 1.0 and 1.0
# No error and no warning: validation never sees it, and every weight in the folder is right. Networks of the ResNet,
# MobileNet and EfficientNet kind have such layers all over. Name them in modules_to_save, or keep them in eval mode.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q peft==0.21.2 transformers==5.24.0 accelerate==1.15.0 torch==2.13.0 numpy==2.4.6
export HF_HOME="$folder/cache" HF_HUB_OFFLINE=1
environment/bin/python - <<'PYTHON'
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

warnings.simplefilter("error")


def pictures(seed, dark):
    """Two classes: in bright pictures one is redder, in dark ones one is bluer."""
    labels = torch.arange(128) % 2
    images = torch.rand(128, 3, 12, 12, generator=torch.Generator().manual_seed(seed))
    images[:, 2 if dark else 0] += 0.3 * labels[:, None, None]
    return images * (0.3 if dark else 1.0), labels


def untrained():
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(8, 2))


def train(network, images, labels):
    network.train()
    optimizer = torch.optim.Adam([weight for weight in network.parameters() if weight.requires_grad], lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return network.eval()


def accuracy(network):
    images, labels = pictures(2, dark=True)
    with torch.no_grad():
        return round(float((network(images).argmax(dim=1) == labels).float().mean()), 2)


weights = train(untrained(), *pictures(0, dark=False)).state_dict()


def pretrained():
    network = untrained()
    network.load_state_dict(weights)
    return network.eval()


def tuned_and_loaded(folder, *saved):
    config = LoraConfig(r=2, target_modules=["0"], modules_to_save=[*saved, "5"])
    tuned = train(get_peft_model(pretrained(), config), *pictures(1, dark=True))
    tuned.save_pretrained(folder)
    loaded = PeftModel.from_pretrained(pretrained(), folder).eval()
    other = [name for name, weight in tuned.named_parameters() if not torch.equal(weight, loaded.get_parameter(name))]
    assert not other  # all that is a weight is the same
    return accuracy(tuned), accuracy(loaded)


before, plain, named = accuracy(pretrained()), tuned_and_loaded("plain"), tuned_and_loaded("named", "1")
print("pretrained", before, "tuned and loaded", plain, "with batch norm named", named)
assert plain[0] > 0.95 and plain[1] < 0.7
assert named[0] == named[1] > 0.95
PYTHON
