from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from multitask.inference.outputs import RowLayout, Rows, open_writer, parquet


def test_row_groups_are_larger_than_batches_and_bounded(
    make_rows: Callable[..., Rows], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_MAX_CELLS", 5 * 7)
    path = tmp_path / "out.parquet"
    with open_writer(path, RowLayout()) as writer:
        for _ in range(6):
            writer.write(make_rows([40, 80]))
    found = pq.ParquetFile(path).metadata
    assert [found.row_group(group).num_rows for group in range(found.num_row_groups)] == [6, 6]
    assert found.num_columns == 7
