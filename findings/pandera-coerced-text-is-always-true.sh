#!/usr/bin/env bash
# pandera 0.35.0: with coerce=True labels that are wrong become labels that pass: the text "False" is True, and .9 is class 0.
#
# A schema is to stop a table whose labels are not what they should be. coerce=True, which makes 0 and 1 of "0" and "1",
# changes the column first and checks afterwards, and it changes as astype does: any text that is not empty is true, and a
# fraction loses its digits. Columns of a table of labels, seen here:
#   Column(bool, coerce=True)                            "False", "no", "0"       True, True, True
#   Column(int, Check.isin([0, 1]), coerce=True)         .9, 1.7, -.4             0, 1, 0
#   Column("boolean", coerce=True), and "Int64"          either column            refused
# So soft labels, an average of annotators or a probability in the wrong column, are classes, and every picture wears a mask;
# without the schema the text would have failed in training. No error and no warning: the Check sees what the change has made.
# Coerce to the nullable types, or not at all.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q pandera==0.35.0 pandas==3.1.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import pandas as pd
import pandera.pandas as pa

warnings.simplefilter("error")


def passed(values, *column):
    """The values that a schema lets pass, or None."""
    schema = pa.DataFrameSchema({"label": pa.Column(*column, coerce=True)})
    try:
        return schema.validate(pd.DataFrame({"label": values}), lazy=True)["label"].tolist()
    except pa.errors.SchemaErrors:
        return None


text, numbers, one = ["False", "no", "0"], [0.9, 1.7, -0.4], pa.Check.isin([0, 1])
found = {
    "bool": passed(text, bool),
    "int": passed(numbers, int, one),
    "boolean": passed(text, "boolean"),
    "Int64": passed(numbers, "Int64", one),
    "digits": passed(["0", "1"], int, one),
}
print(found)
assert found == {"bool": [True] * 3, "int": [0, 1, 0], "boolean": None, "Int64": None, "digits": [0, 1]}
PYTHON
