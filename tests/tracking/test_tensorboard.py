"""Event files, read by TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path

from multitask.tracking.tensorboard import TensorBoardSettings
from multitask.tracking.tracker import TrackedRun


def test_scalars_and_config_are_there_and_a_resumed_run_doubles_none(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = TensorBoardSettings().open(TrackedRun(tmp_path, {"training.lr": 0.5}))
    first.epoch(1, {"val/joint/macro_f1": 0.25})
    first.epoch(2, {"val/joint/macro_f1": 9.0})  # of a launch that was killed
    first.close(failed=True)
    second = TensorBoardSettings().open(TrackedRun(tmp_path, {}, num_epochs=1))
    second.epoch(2, {"val/joint/macro_f1": 0.5})
    second.report({"report/joint/macro_f1": 0.75}, [])
    second.close(failed=False)
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    scalars = {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    assert scalars == {"val/joint/macro_f1": [(1, 0.25), (2, 0.5)], "report/joint/macro_f1": [(2, 0.75)]}
    [text] = found.Tensors("config/text_summary")
    assert b"training.lr: 0.5" in text.tensor_proto.string_val[0]
