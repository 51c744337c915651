from __future__ import annotations

import io
import math
import re

import pytest
from rich.console import Console

from multitask.reporting.progress import LiveProgress, PlainProgress, make_progress
from multitask.reporting.study.live import LiveStudyProgress


def test_a_head_without_a_label_so_far_has_a_dash() -> None:
    text = io.StringIO()
    progress = PlainProgress(Console(file=text, width=200))
    progress.training(1, 2, 9, ("colour", "type"))
    progress.EVERY_S = 0.0
    progress.batch(3, 12, lambda: {"colour": math.nan, "type": 0.5})
    assert text.getvalue().splitlines()[-1] == "epoch 1/2: batch 3/9, loss colour - type 0.500"


@pytest.mark.parametrize("progress", [LiveProgress, PlainProgress])
def test_a_note_breaks_between_words(progress: type[LiveProgress | PlainProgress]) -> None:
    written = io.StringIO()
    shown = progress(Console(file=written, width=20, force_terminal=True, color_system=None))
    shown.note("twelve images could not be read")
    shown.close()
    lines = [re.sub(r"\x1b\[\S*?[a-zA-Z]|\r", "", line) for line in written.getvalue().split("\n")]
    assert lines[:2] == ["twelve images could", "not be read"]


@pytest.mark.parametrize("quiet", [True, False])
def test_a_warning_is_on_the_error_stream_even_where_all_else_is_quiet(
    quiet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = make_progress(quiet)
    progress.note("twelve images")
    progress.warn("a tracker failed")
    progress.close()
    assert capsys.readouterr() == ("" if quiet else "twelve images\n", "warning: a tracker failed\n")


@pytest.mark.parametrize("progress", [LiveProgress, LiveStudyProgress])
@pytest.mark.parametrize("counts", [[3, 3], [2, 4, 5]])
def test_a_stage_may_be_told_again_that_all_is_done(
    progress: type[LiveProgress | LiveStudyProgress], counts: list[int]
) -> None:
    written = io.StringIO()
    shown = progress(Console(file=written, width=60, force_terminal=True, color_system=None))
    done = shown.stage("looking for copies", 3, "images")
    for count in counts:
        done(count)
    written.truncate(0)
    shown.stage("asking for sources", 3, "images")
    shown.close()
    assert "asking for sources" in written.getvalue()
    assert "looking for copies" not in written.getvalue()


def test_the_bars_of_work_that_has_ended_do_not_pile_up() -> None:
    written = io.StringIO()
    shown = LiveProgress(Console(file=written, width=60, force_terminal=True, color_system=None))
    for _ in range(3):
        shown.answering(2)(2)
    shown.training(1, 2, 9, ("colour",))
    shown.training(1, 2, 9, ("colour",))
    written.truncate(0)
    written.seek(0)
    shown.batch(1, 4, dict)
    last = written.getvalue()
    shown.close()
    assert [last.count(name) for name in ("images  ", "run  ", "epoch  ", "batch  ")] == [0, 1, 1, 1]
    shown = LiveProgress(Console(file=written, width=60, force_terminal=True, color_system=None))
    shown.answering(2)(2)
    written.truncate(0)
    written.seek(0)
    shown.answering(2)
    shown.close()
    assert written.getvalue().count("0/2") >= 1
    assert "2/2" not in written.getvalue()
