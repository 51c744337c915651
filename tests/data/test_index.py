"""The memory of an index: what a row may take, temporary arrays included, so that ten million of a Parquet file fit in
1.5 GiB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LIMIT_MIB = 950
"""Of a million rows, beyond what the libraries take that are there before: half of it is what others of them take, and
Arrow's first memory, which do not grow with the rows."""
ROWS = 200_000
"""Of the million, so that the test takes seconds: what a row may take is the same."""


def test_a_million_rows_would_fit(tmp_path: Path) -> None:
    table = tmp_path / "train.csv"
    folder = "some/long/folder/of/images/as/people/really/have"
    garments, colours = ("shirt", "skirt", "trousers"), ("red", "green", "blue")
    with table.open("w") as file:
        file.write("path,garment,colour,price,product\n")
        for row in range(ROWS):  # every image a group of its own, which takes the most
            labels = f"{garments[row % 3]},{colours[row % 7 % 3]},{row % 9000 / 100}"
            file.write(f"{folder}/{row % 1000:03d}/{row:08d}.jpg,{labels},product-{row:07d}\n")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("index_of_many.py")), str(table)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    rows, imported, peak = map(int, done.stdout.split())
    assert rows == ROWS
    assert (peak - imported) * 1_000_000 / ROWS < LIMIT_MIB, (imported, peak)
