from __future__ import annotations

from multiprocessing import Pipe

from multitask.executors.line import Line, LineProgress
from multitask.executors.messages import Warned


def test_of_a_runs_progress_the_launch_is_sent_warnings_alone() -> None:
    here, there = Pipe()
    progress = LineProgress(Line(there))
    progress.note("twelve images")
    progress.warn("a tracker failed")
    assert here.recv() == Warned("a tracker failed")
    assert not here.poll()
