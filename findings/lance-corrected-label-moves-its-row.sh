#!/usr/bin/env bash
# pylance 14.0.2 (the Lance format): correcting a label moves its row to the end, so that take() answers with other pictures.
#
# Lance is made for training sets: rows are fetched by their position, take([..]), and labels are corrected by update or by
# merge_insert. Either writes the row anew at the end and deletes the old one, and every row behind the old place moves up by
# one. A split that is kept as positions, a list of label issues, or an array of features that was computed row by row then
# means other pictures. Eight pictures, 6 and 7 held out by position, the label of picture 1 corrected, seen here:
#   held out before    6 7        after    7 1: picture 1 was trained on, 6 is trained on from now
#   take([0, 1, 2])    0 1 2               0 2 3
# The number of rows is the same, and there is no error and no warning. Keep splits by the picture's name, as a column.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q pylance==14.0.2 pyarrow==25.0.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import lance
import pyarrow as pa

warnings.simplefilter("error")


def pictures(change):
    """The pictures that positions stand for, before and after a change of the set."""
    path = f"{change.__name__}.lance"
    lance.write_dataset(pa.table({"picture": list(range(8)), "label": [0] * 8}), path)
    found = []
    for _ in range(2):
        held = lance.dataset(path)
        found.append([held.take(rows)["picture"].to_pylist() for rows in ([6, 7], [0, 1, 2])])
        assert held.count_rows() == 8
        change(held)
    assert dict(zip(*lance.dataset(path).to_table().to_pydict().values()))[1] == 3
    return found


def update(held):
    held.update({"label": "3"}, where="picture = 1")


def merge(held):
    held.merge_insert("picture").when_matched_update_all().execute(pa.table({"picture": [1], "label": [3]}))


found = [pictures(change) for change in (update, merge)]
print(found)
assert found == [[[[6, 7], [0, 1, 2]], [[7, 1], [0, 2, 3]]]] * 2
PYTHON
