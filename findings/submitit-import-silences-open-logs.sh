#!/usr/bin/env bash
# submitit 1.5.4: `import submitit` closes every logging handler that the process has, and a log file that was opened with
# mode "w" takes nothing from then on.
#
# As it is imported it sets up its own logger by logging.config.dictConfig, which shuts down the handlers of all loggers,
# whatever disable_existing_loggers says. Python opens a closed FileHandler again only if it appends; one of mode "w" drops
# each record without an error. A program that logs its trainings to a file and imports submitit where jobs are submitted,
# as one does with an optional package, has a log that ends there. With SUBMITIT_LOG_LEVEL=NOCONFIG in the environment
# during the import it leaves logging alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q submitit==1.5.4
cat > train.py <<'PYTHON'
import logging

logging.basicConfig(filename="train.log", filemode="w", level=logging.INFO)
logging.info("epoch 1")
import submitit

logging.info("epoch 2, job submitted")
PYTHON
environment/bin/python train.py
cp train.log plain.log
SUBMITIT_LOG_LEVEL=NOCONFIG environment/bin/python train.py
echo "as it is:"; cat plain.log
echo "with NOCONFIG:"; cat train.log
grep -q "epoch 1" plain.log
! grep -q "epoch 2" plain.log
grep -q "epoch 2" train.log
