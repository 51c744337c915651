#!/usr/bin/env bash
# datasets 5.2.0: map() does not see that a function of an imported module was edited, and hands out what the old one made.
#
# The result of map is kept on disk and found again by a hash of the function. Of one that stands in the script that is run, the
# code and the globals that it uses are hashed, so that an edit computes anew. Of one that is imported, as preprocessing is that
# training and evaluation share, only the module's name and the function's are. Values 1 and 2, a factor of 2 that is edited to
# 3, and the script run again, seen here:
#   function in the script                          2 4, then 3 6
#   the same one imported from a module             2 4, then 2 4
# From then on what is read in the code is not what the network is trained on: a mended crop, other statistics or another table
# of labels have no effect, and on another machine, or with the cache gone, the same commit gives other scores. No error and no
# warning. load_from_cache_file=False computes anew.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export HF_HOME="$folder/cache" HF_HUB_OFFLINE=1
python3 -m venv environment
environment/bin/pip install -q datasets==5.2.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import pathlib
import subprocess
import sys

FUNCTION = "FACTOR = {}\n\n\ndef scale(row):\n    return {{'value': row['value'] * FACTOR}}\n\n\n"
SCRIPT = """
import sys
import warnings

warnings.simplefilter("error")
import datasets

datasets.disable_progress_bars()
rows = datasets.load_dataset("csv", data_files="values.csv", split="train")
print(*rows.map(scale, load_from_cache_file=sys.argv[1] == "cached")["value"])
"""
pathlib.Path("values.csv").write_text("value\n1\n2\n")


def run(factor, imported, how="cached"):
    function = FUNCTION.format(factor)
    pathlib.Path("shared.py").write_text(function)
    pathlib.Path("train.py").write_text(("from shared import scale\n" if imported else function) + SCRIPT)
    command = [sys.executable, "-B", "train.py", how]  # no bytecode that could be an old one
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


found = {imported: [run(factor, imported) for factor in (2, 3)] for imported in (False, True)}
print(found)
assert found[False] == [["2", "4"], ["3", "6"]]
assert found[True] == [["2", "4"], ["2", "4"]]
assert run(3, imported=True, how="anew") == ["3", "6"]
PYTHON
