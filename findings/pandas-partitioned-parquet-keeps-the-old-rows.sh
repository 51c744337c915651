#!/usr/bin/env bash
# pandas 3.1.1 and pyarrow 25.0.1: to_parquet with partition_cols, run again, adds to what is there; pictures are in two splits.
#
# df.to_parquet("labels.parquet") writes over the file. df.to_parquet("labels", partition_cols=["split"]) writes a file of a new
# random name into each split's folder, beside those of the last time, and read_parquet("labels") reads them all. Once the
# script that makes the table is run again, after a label was corrected or with another seed of the split, every picture is
# there twice: with its old label and its new one, in its old split and in the new one. Six pictures, of which the second run
# gives one another label and moves one from train to test, seen here:
#                       rows after one run    after two    pictures with two labels    in train and test
#   one file                    6                 6                   0                        0
#   partition_cols              6                12                   1                        1
# No error and no warning; where nothing changed, each picture counts twice. DuckDB (2.0.1) refuses a folder that is not
# empty. Pass existing_data_behavior="delete_matching" (it leaves splits that are no longer there), or remove the folder first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q pandas==3.1.1 pyarrow==25.0.1 duckdb==2.0.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import duckdb
import pandas as pd

warnings.simplefilter("error")
first = pd.DataFrame({"picture": range(6), "label": [0, 1, 0, 1, 0, 1], "split": ["train"] * 4 + ["test"] * 2})
second = first.copy()
second.loc[0, "label"] = 1
second.loc[3, "split"] = "test"


def written(path, **settings):
    """Rows after the first and the second run, pictures with two labels, and pictures in two splits."""
    rows = []
    for frame in (first, second):
        frame.to_parquet(path, **settings)
        rows.append(len(pd.read_parquet(path)))
    held = pd.read_parquet(path).astype({"split": "str"}).groupby("picture")
    return *rows, int((held["label"].nunique() == 2).sum()), int((held["split"].nunique() == 2).sum())


found = {
    "file": written("labels.parquet"),
    "folder": written("labels", partition_cols=["split"]),
    "replaced": written("replaced", partition_cols=["split"], existing_data_behavior="delete_matching"),
}
print(found)
assert found == {"file": (6, 6, 0, 0), "folder": (6, 12, 1, 1), "replaced": (6, 6, 0, 0)}
copy = "COPY first TO 'duck' (FORMAT parquet, PARTITION_BY (split))"
duckdb.sql(copy)
try:
    duckdb.sql(copy)
except duckdb.Error as error:
    print(type(error).__name__)
else:
    raise SystemExit("duckdb added to the folder")
PYTHON
