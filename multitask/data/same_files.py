"""Files with the same content on both sides of a split, which no group tells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from multitask.utils.strings import Strings


def same_files_note(contents: Sequence[bytes], sides: NDArray[np.object_], images: Strings) -> str | None:
    """A sentence on images that are the same to the byte and not on one side of the split; None: there are none.

    Args:
        contents: a digest of each of N images' files.
        sides: (N,) the names of the parts that they are in, ``train`` among them unless each part is trained on for the
            others, as folds are; empty: in none.
        images: (N,) their names.
    """
    import pyarrow as pa

    names, parts = np.unique(sides.astype(str), return_inverse=True)
    codes = pa.array(contents, pa.binary()).dictionary_encode().indices.to_numpy().astype(np.int64)
    used = np.flatnonzero(names[parts] != "")
    first = np.unique(codes[used] * len(names) + parts[used], return_index=True)[1]
    rows = used[first]  # one for each content in each part
    several = np.bincount(codes[rows], minlength=len(contents)) > 1
    if "train" in names:
        trains = names[parts[rows]] == "train"
        several &= np.bincount(codes[rows[trains]], minlength=len(contents)) > 0
        rows = rows[np.argsort(~trains, kind="stable")]  # so that one that trains is among the two that are named
    if not several.any():
        return None
    num = int(several.sum())
    one, other = sorted(rows[codes[rows] == codes[rows[several[codes[rows]]][0]]][:2].tolist())
    return (
        f"{num:,} {'file is' if num == 1 else 'files are'} there to the byte on both sides of the split, as "
        f"{images[one]} and {images[other]}: what is scored was trained on; give them one group, or leave one out "
        "(`multitask eda` shows all copies)"
    )
