from __future__ import annotations

from multitask.progress import EpochRecord, LabelScores, RunningTrial, ValidationScores, best_epoch


def test_the_best_epoch_is_the_last_that_was_the_best_so_far() -> None:
    rows = [EpochRecord(epoch=epoch, best=best) for epoch, best in ((1, True), (2, True), (3, False))]
    assert best_epoch(rows) == 2
    assert best_epoch(rows[2:]) is None
    assert best_epoch([]) is None


def test_a_trial_takes_an_epochs_scores() -> None:
    trial = RunningTrial("trial 7", 3, {})
    tasks = {"mask": LabelScores(macro_f1=0.25), "age": LabelScores()}
    scores = ValidationScores(joint=LabelScores(macro_f1=0.5), tasks=tasks)
    trial.take(EpochRecord(epoch=2, val=scores, best=True))
    assert trial.epoch == 2
    assert trial.scores == {"joint": 0.5, "mask": 0.25, "age": None}
