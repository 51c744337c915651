from __future__ import annotations

from multitask.data.empty_cells import EmptyCells
from multitask.reporting.run.empty_cells import impossible_yaml, never_in_words

NEVER = ("hearts/black", "spades/red", "hearts/ace")
LINES = ({"suit": "hearts", "colour": "black"}, {"suit": "spades", "colour": "red"}, {"suit": "hearts", "rank": "ace"})


def test_lines_of_what_chance_may_have_kept_apart_are_left_out_and_counted() -> None:
    some, none, all_of_them = (EmptyCells(NEVER, (), LINES, num) for num in (1, 0, 3))
    assert impossible_yaml(some) == "labels:\n  impossible:\n  - {suit: hearts, colour: black}\n"
    assert " 2 lines for it are left out: fewer than 5 groups would be expected" in never_in_words(some, 12)
    assert impossible_yaml(none) == ""
    assert "left out" not in never_in_words(all_of_them, 12)


def test_a_report_that_does_not_know_it_shows_all() -> None:
    older = EmptyCells(NEVER, (), LINES)
    assert impossible_yaml(older).count("- {") == 3
    assert "left out" not in never_in_words(older, 12)


def test_how_images_with_some_labels_count_is_said() -> None:
    partly = never_in_words(EmptyCells(NEVER, (), LINES, 3, 1400), 12)
    assert " 1,400 images have some labels only: taken for a class that fits and has images with all labels" in partly
    assert "some labels only" not in never_in_words(EmptyCells(NEVER, (), LINES, 3), 12)
