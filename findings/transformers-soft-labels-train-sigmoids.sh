#!/usr/bin/env bash
# transformers 5.24.0: an image classifier that is given soft labels is trained as a multi-label one, and is served as one.
#
# Mixup, CutMix and label smoothing make labels into rows of probabilities, which torch's cross_entropy takes. A network of the
# kind ViTForImageClassification, which computes its own loss from labels=, looks at their type alone: whole numbers mean cross
# entropy, fractions binary cross entropy with one sigmoid a class. The choice is written into the network's config with the
# first batch, saved with it, and obeyed by the image-classification pipeline. Seen here, of labels that are the same classes as
# numbers and as one-hot rows: loss 1.121 (cross entropy) and .702 (binary), and scores of one picture over three classes that
# sum to 1.00 and to 1.51, which a threshold or a rejection rule takes for probabilities. No warning.
# Compute the loss from the logits. With problem_type="single_label_classification" in the config such labels raise an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q transformers==5.24.0 torch==2.13.0 pillow==13.0.0 numpy==2.4.6
export HF_HOME="$folder/cache" HF_HUB_OFFLINE=1
environment/bin/python - <<'PYTHON'
import warnings

import torch
from PIL import Image
from torch.nn import functional
from transformers import ViTConfig, ViTForImageClassification, pipeline
from transformers.utils import logging

logging.disable_progress_bar()
try:
    from transformers import ViTImageProcessorPil as Processor
except ImportError:
    from transformers import ViTImageProcessor as Processor

small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
images, classes = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 1])
rows = functional.one_hot(classes, 3).float()


def trained(labels, problem_type=None):
    """The loss, that of cross entropy, the kind that is saved, and the sum of one picture's scores when it is served."""
    torch.manual_seed(0)
    config = ViTConfig(**small, image_size=16, patch_size=8, num_labels=3, problem_type=problem_type)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        network = ViTForImageClassification(config).eval()
        answer = network(pixel_values=images, labels=labels)
        network.save_pretrained("saved")
    served = pipeline("image-classification", "saved", image_processor=Processor(size={"height": 16, "width": 16}))
    scores = sum(score["score"] for score in served(Image.new("RGB", (16, 16), (200, 30, 90))))
    entropy = functional.cross_entropy(answer.logits, labels)
    return round(float(answer.loss), 3), round(float(entropy), 3), served.model.config.problem_type, round(scores, 2)


hard, soft = trained(classes), trained(rows)
print(hard, soft)
assert hard[0] == hard[1] == soft[1] and hard[2:] == ("single_label_classification", 1.0)
assert abs(soft[0] - soft[1]) > 0.2 and soft[2] == "multi_label_classification" and soft[3] > 1.3
try:
    trained(rows, "single_label_classification")
except ValueError as error:
    print(error)
else:
    raise AssertionError("soft labels are taken now")
PYTHON
