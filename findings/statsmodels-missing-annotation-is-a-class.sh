#!/usr/bin/env bash
# statsmodels 0.15.0: Fleiss' kappa of annotations with gaps takes "not annotated" for a class of its own.
#
# aggregate_raters turns a table of pictures and annotators into counts for fleiss_kappa, and says that it raises an exception
# for data which are no whole numbers. A NaN it counts as one more class, so that each picture still has as many answers as
# annotators, which is what fleiss_kappa checks. Three annotators, 1,000 pictures of three classes, seen here:
#   all three annotated each picture                                          kappa  .49
#   each picture by two of them, the third cell empty                               -.06    of the two answers  .48
#   of half of the pictures one annotation, the other two empty                      .31    of the other half   .47
# -.06 says that the annotators agree less than by chance, where they agree as before: good labels are thrown away, or are
# bought a second time. No error and no warning; NaN stands in the list of categories that aggregate_raters returns. Make the
# counts of pictures with equally many answers, or take Krippendorff's alpha, which allows for gaps.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q statsmodels==0.15.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

warnings.simplefilter("error")
generator = np.random.default_rng(0)
truth = generator.integers(3, size=(1000, 1))
full = np.where(generator.random((1000, 3)) < 0.7, truth, generator.integers(3, size=(1000, 3))).astype(float)
two, half = full.copy(), full.copy()
two[np.arange(1000), generator.integers(3, size=1000)] = np.nan
half[500:, 1:] = np.nan
filled = two[~np.isnan(two)].reshape(1000, 2)


def kappa(table):
    counts, classes = aggregate_raters(table)
    assert (counts.sum(axis=1) == table.shape[1]).all() and np.isnan(classes).any() == np.isnan(table).any()
    return round(float(fleiss_kappa(counts)), 2)


found = [kappa(table) for table in (full, two, filled, half, full[:500])]
print(*found)
assert found == [0.49, -0.06, 0.48, 0.31, 0.47]
PYTHON
