#!/usr/bin/env bash
# transformers 5.24.0: Trainer does not average accumulated gradients for a network whose forward takes **kwargs.
#
# With gradient_accumulation_steps the loss of each part is divided by the number of parts, unless the network divides by the
# count of labels itself. Trainer takes it to do so where forward has a **kwargs, as a network of one's own has that passes
# options on to its backbone, or ignores columns that it does not need. Its loss is then a mean, and the parts are summed. One
# step of plain SGD on 16 pictures, the length of the step, and the loss that is logged, seen here:
#                                    16 at once       4 times 4        16 times 1
#   forward(pixels, labels)         .0071   2.29     .0071   2.29     .0071   2.29
#   forward(pixels, labels, **kw)   .0071   2.29     .0286   9.15     .1143  36.61
# So whoever halves the batch for a larger network, and accumulates to make up for it, doubles the rate; clipping to a norm,
# which Trainer does, hides it or cuts everything. No warning: the rule stands under an attribute in Trainer's docstring, and
# does not say that **kwargs suffice. accepts_loss_kwargs = False as an attribute of the network's class mends it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q transformers==5.24.0 accelerate==1.15.0 torch==2.13.0 numpy==2.4.6
export HF_HOME="$folder/cache" HF_HUB_OFFLINE=1
environment/bin/python - <<'PYTHON'
import warnings

import torch
from torch import nn
from transformers import Trainer, TrainingArguments

warnings.simplefilter("error", UserWarning)
torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
pictures = [{"pixels": torch.randn(3, 16, 16, generator=generator), "labels": index % 3} for index in range(16)]


class Strict(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3 * 16 * 16, 3)

    def forward(self, pixels, labels):
        logits = self.head(pixels.flatten(1))
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class Open(Strict):
    def forward(self, pixels, labels, **kwargs):
        return super().forward(pixels, labels)


class Told(Open):
    accepts_loss_kwargs = False


def step(kind, parts):
    """The length of one step on all pictures, and the loss that is logged for it."""
    torch.manual_seed(0)
    network = kind()
    before = network.head.weight.detach().clone()
    arguments = TrainingArguments(
        output_dir="out", per_device_train_batch_size=16 // parts, gradient_accumulation_steps=parts, max_steps=1,
        optim="sgd", learning_rate=1e-3, lr_scheduler_type="constant", max_grad_norm=0, logging_steps=1,
        save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True, dataloader_pin_memory=False,
    )
    trainer = Trainer(network, arguments, train_dataset=pictures)
    trainer.train()
    length = float((network.head.weight.detach() - before).norm())
    return round(length, 4), round(float(trainer.state.log_history[0]["loss"]), 2)


found = {kind.__name__: [step(kind, parts) for parts in (1, 4, 16)] for kind in (Strict, Open, Told)}
print(found)
once, logged = found["Strict"][0]
for name in ("Strict", "Told"):
    assert all(abs(length / once - 1) < 0.01 and abs(loss / logged - 1) < 0.01 for length, loss in found[name])
for (length, loss), parts in zip(found["Open"], (1, 4, 16), strict=True):
    assert abs(length / once / parts - 1) < 0.01 and abs(loss / logged / parts - 1) < 0.01
PYTHON
