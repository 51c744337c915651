#!/usr/bin/env bash
# pyarrow 25.0.1: the numbers of a dictionary column mean other classes in the next row group, file or block of a CSV.
#
# A column of class names is read as a dictionary, names once and a number for each picture, by read_dictionary= of Parquet and
# by auto_dict_encode of a CSV. That is what a label is for training, and .indices or, of a batch as a DataFrame, .cat.codes
# hands it out. Each row group has a dictionary of its own, in the order in which its pictures came, and so has each file of a
# folder and each block of a CSV. 4,000 pictures of "none", "wear" and "wrong" in four row groups, seen here:
#   dictionaries                       none wear wrong / wear wrong none / wrong none wear / wear none wrong
#   numbers of all row groups, one after the other                       .33 are of the class that they were in the first one
#   the same of batches, each one as a DataFrame                         .33
#   numbers of one row group, as a small sample has it                  1.00
# Every number is a class and each class has its share, so that nothing but the accuracy tells. No error and no warning.
# unify_dictionaries() of the whole column gives it one dictionary, dictionary_encode() of names read plainly too; of batches
# take names, and number them by a list of one's own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q pyarrow==25.0.1 pandas==3.1.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import io
import warnings

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

warnings.simplefilter("error")
names = np.random.default_rng(0).choice(["none", "wear", "wrong"], 4000)
firsts = (["none", "wear", "wrong"], ["wear", "wrong", "none"], ["wrong", "none", "wear"], ["wear", "none", "wrong"])
for place, first in enumerate(firsts):
    names[1000 * place : 1000 * place + 3] = first
parquet.write_table(pa.table({"label": names}), "pictures.parquet", row_group_size=1000)


def right(numbers):
    """Share of numbers that are those of the class in the first row group."""
    return round(float((np.array(firsts[0])[numbers] == names[: len(numbers)]).mean()), 2)


column = parquet.read_table("pictures.parquet", read_dictionary=["label"])["label"]
print([chunk.dictionary.to_pylist() for chunk in column.chunks])
assert [chunk.dictionary.to_pylist() for chunk in column.chunks] == list(firsts)
one_after_the_other = right(np.concatenate([chunk.indices for chunk in column.chunks]))

source = parquet.ParquetFile("pictures.parquet", read_dictionary=["label"])
frames = [batch.to_pandas()["label"].cat.codes for batch in source.iter_batches(batch_size=500)]
batches, sample = right(np.concatenate(frames)), right(np.concatenate(frames[:2]))

plain = parquet.read_table("pictures.parquet")["label"].dictionary_encode()
unified = [right(np.concatenate([c.indices for c in found.chunks])) for found in (column.unify_dictionaries(), plain)]
print(one_after_the_other, batches, sample, unified)
assert one_after_the_other < 0.6 and batches < 0.6 and sample == 1 and unified == [1, 1]

text = io.BytesIO("\n".join(["label", *np.repeat(names, 20)]).encode())
blocks = csv.read_csv(
    text, csv.ReadOptions(block_size=100_000), convert_options=csv.ConvertOptions(auto_dict_encode=True)
)["label"]
print([block.dictionary.to_pylist() for block in blocks.chunks])
assert len({tuple(block.dictionary.to_pylist()) for block in blocks.chunks}) > 1
PYTHON
