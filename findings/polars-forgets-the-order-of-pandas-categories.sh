#!/usr/bin/env bash
# polars 2.1.0 and pandas 3.1.1: ordered classes that pass through polars lose their order and their numbers.
#
# A pandas column of ordered categories (age bands, grades) says which classes there are, in which order, and so which number
# each has. polars makes it its own Categorical, which sorts and compares as text; on the way back the categories are those that
# occur, in the order in which they do. Two frames of one pandas type, "young" < "middle" < "old", seen here:
#                            numbers in pandas    after polars and back    the greatest    what is above "middle"
#   middle, old, young, old     1, 2, 0, 2            0, 1, 2, 1             "young"         old, young, old
#   old, young                  2, 0                  0, 1                   "young"         old, young
# So the head of a network learns "old" as 1 and is scored with "old" as 0. No error and no warning. The same by way of
# Parquet, whose file still holds the order (pandas reads it back as it was). polars keeps it where the column is cast to an
# Enum of the categories.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q polars==2.1.0 pandas==3.1.1 pyarrow==25.0.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

warnings.simplefilter("error")
import pandas as pd
import polars as pl

BANDS = pd.CategoricalDtype(["young", "middle", "old"], ordered=True)
FRAMES = {"train": ["middle", "old", "young", "old"], "test": ["old", "young"]}


def numbers(frame):
    return frame["age"].cat.codes.tolist()


found = {}
for name, ages in FRAMES.items():
    frame = pd.DataFrame({"age": pd.Series(ages, dtype=BANDS)})
    frame.to_parquet("ages.parquet")
    assert pd.read_parquet("ages.parquet")["age"].dtype == BANDS
    direct, by_file = pl.from_pandas(frame), pl.read_parquet("ages.parquet")
    kept = direct.cast({"age": pl.Enum(list(BANDS.categories))})
    above = direct.filter(pl.col("age") > "middle")["age"].to_list()
    found[name] = numbers(frame), numbers(direct.to_pandas()), direct["age"].max(), above
    assert numbers(by_file.to_pandas()) == numbers(direct.to_pandas()) and not by_file.to_pandas()["age"].cat.ordered
    assert numbers(kept.to_pandas()) == numbers(frame) and kept["age"].max() == frame["age"].max() == "old"
print(found)
assert found["train"] == ([1, 2, 0, 2], [0, 1, 2, 1], "young", ["old", "young", "old"])
assert found["test"] == ([2, 0], [0, 1], "young", ["old", "young"])
PYTHON
