#!/usr/bin/env bash
# transformers 5.24.0: of a network whose labels are called mask and age Trainer computes no validation loss and no metrics.
#
# Which arguments of forward are labels, Trainer reads from their names: those that hold "label". Of a network with several
# heads, forward(pixels, mask, age), none is one. Training works, as the network computes its loss; an evaluation hands the same
# arguments over and gets the same loss, but does not keep it, and compute_metrics is never called. Where one of the names holds
# the word, as mask_labels, metrics are computed of that head's labels alone. Twelve pictures, two heads, seen here:
#                             eval_loss    compute_metrics    its label_ids     predict().predictions
#   mask, age                   none        not called                           loss (3), mask (12, 2), age (12, 3)
#   mask_labels, age             yes         called            mask               mask (12, 2), age (12, 3)
#   label_names given            yes         called            mask, age          mask (12, 2), age (12, 3)
# In the first row predictions[0], the first head of the others, are the losses of three batches. What is logged for each epoch
# is the time that it took; no error and no warning. Pass label_names=["mask", "age"] to TrainingArguments.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q transformers==5.24.0 accelerate==1.15.0 torch==2.13.0 numpy==2.4.6
export HF_HOME="$folder/cache" HF_HUB_OFFLINE=1
environment/bin/python - <<'PYTHON'
import logging
import warnings

import torch
from torch import nn
from transformers import Trainer, TrainingArguments

warnings.simplefilter("error", UserWarning)
torch.set_num_threads(1)
torch.manual_seed(0)
said = []
handler = logging.Handler(logging.WARNING)
handler.emit = said.append
logging.getLogger("transformers").addHandler(handler)


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.mask, self.age = nn.Linear(4, 2), nn.Linear(4, 3)

    def forward(self, pixels, mask, age):
        logits = {"mask_logits": self.mask(pixels), "age_logits": self.age(pixels)}
        loss = nn.functional.cross_entropy(logits["mask_logits"], mask)
        return {"loss": loss + nn.functional.cross_entropy(logits["age_logits"], age), **logits}


class Named(Heads):
    def forward(self, pixels, mask_labels, age):
        return super().forward(pixels, mask_labels, age)


def evaluated(kind, name, **settings):
    """Whether a loss is told, how many label arrays compute_metrics is given (0: never called), and predict's shapes."""
    pictures = [{"pixels": torch.randn(4), name: index % 2, "age": index % 3} for index in range(12)]
    seen = []

    def metrics(answer):
        seen.append(len(answer.label_ids) if isinstance(answer.label_ids, tuple) else 1)
        return {"score": 1.0}

    arguments = TrainingArguments(
        output_dir="out", per_device_train_batch_size=4, per_device_eval_batch_size=4, num_train_epochs=1,
        eval_strategy="epoch", save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True,
        dataloader_pin_memory=False, **settings,
    )
    trainer = Trainer(kind(), arguments, train_dataset=pictures, eval_dataset=pictures, compute_metrics=metrics)
    trainer.train()
    found = trainer.evaluate()
    shapes = [tuple(part.shape) for part in trainer.predict(pictures).predictions]
    assert ("eval_score" in found) == bool(seen)
    return "eval_loss" in found, seen[0] if seen else 0, shapes


plain, half = evaluated(Heads, "mask"), evaluated(Named, "mask_labels")
told = evaluated(Heads, "mask", label_names=["mask", "age"])
print(plain, half, told)
assert plain == (False, 0, [(3,), (12, 2), (12, 3)]) and half == (True, 1, [(12, 2), (12, 3)])
assert told == (True, 2, [(12, 2), (12, 3)])
assert not [record for record in said if "label" in record.getMessage()]
PYTHON
