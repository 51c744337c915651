#!/usr/bin/env bash
# rich 15.0.0: printing to a pipe whose reader is gone ends the whole process, with exit code 1 and not a word.
#
# Python's own print raises BrokenPipeError there, which a program can catch and outlive. A rich Console catches it
# itself, points the process's standard output at the null device and raises SystemExit(1), which `except Exception`
# does not see. A training that shows its progress by rich, piped into `head` or a pager that is closed, stops at the next
# line that is printed: no error, the epochs behind it unsaved. Subclass Console and override on_broken_pipe to go on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q rich==15.0.0
cat > train.py <<'PYTHON'
import sys
import time

from rich.console import Console

say = Console().print if sys.argv[1] == "rich" else lambda text: print(text, flush=True)
for epoch in range(3):
    try:
        say(f"epoch {epoch}")
        time.sleep(0.5)
    except Exception as error:
        print(f"{sys.argv[1]}: epoch {epoch}: {type(error).__name__}, and on", file=sys.stderr)
print(f"{sys.argv[1]}: trained to the end", file=sys.stderr)
sys.stdout = None  # nothing is left to flush
PYTHON
for way in print rich; do
    set +e
    environment/bin/python train.py "$way" 2>"$way.err" | head -1 >/dev/null
    echo "$way: exit code ${PIPESTATUS[0]}" | tee -a "$way.err"
    set -e
done
cat print.err rich.err
grep -q "trained to the end" print.err
! grep -q "trained to the end" rich.err
grep -q "rich: exit code 1" rich.err
