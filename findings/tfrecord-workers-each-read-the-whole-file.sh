#!/usr/bin/env bash
# tfrecord 1.14.6: a file that is read by several workers of a DataLoader comes as many times, unless it has an index.
#
# TFRecordDataset takes a file and the path of its index, which may be None. It divides the records among the workers itself, by
# the index; where there is none, each worker reads the file from its beginning to its end. An epoch is then as many epochs as
# there are workers, and num_workers, a setting of speed alone, changes the training. Ten pictures, seen here:
#   workers                          0     1     2     4
#   pictures without an index       10    10    20    40: each one four times
#   pictures with an index          10    10    10    10
# The dataset has no length, so that no number tells: of four workers, a learning rate that falls with the epochs falls at a
# quarter of its pace. Each copy of a picture comes in another batch, close by. The accuracy of a test is the same, while a
# submission has rows twice, a confusion matrix counts double, and an interval of the accuracy is too narrow. No error and no
# warning. The index is made by python -m tfrecord.tools.tfrecord2idx.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q tfrecord==1.14.6 torch==2.13.0 numpy==2.4.6
cat > read.py <<'PYTHON'
import warnings
from collections import Counter

from tfrecord import TFRecordWriter
from tfrecord.tools.tfrecord2idx import create_index
from tfrecord.torch.dataset import TFRecordDataset
from torch.utils.data import DataLoader

warnings.simplefilter("error")
warnings.filterwarnings("ignore", message="This DataLoader will create")  # of machines with fewer cores than workers


def counted(index, workers):
    """How often each picture comes in an epoch."""
    dataset = TFRecordDataset("pictures.tfrecord", index, {"number": "int"})
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    return sorted(Counter(int(row["number"]) for row in loader).items())


if __name__ == "__main__":
    writer = TFRecordWriter("pictures.tfrecord")
    for number in range(10):
        writer.write({"picture": (bytes(100), "byte"), "number": (number, "int")})
    writer.close()
    create_index("pictures.tfrecord", "pictures.index")
    for workers in (0, 1, 2, 4):
        without, beside = counted(None, workers), counted("pictures.index", workers)
        print(workers, without, beside)
        assert without == [(number, max(workers, 1)) for number in range(10)]
        assert beside == [(number, 1) for number in range(10)]
PYTHON
environment/bin/python read.py
