"""The config that trains on pseudo-labels too: who validates stays, and no table is taken for another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from multitask.config import Config
from multitask.errors import UserError
from multitask.pseudo.config import with_pseudo_labels
from multitask.pseudo.label import label_images
from multitask.pseudo.report_schema import PseudoReport, report_path
from multitask.runs.config import read_run
from multitask.runs.data_module import DataModule
from tests.pseudo.conftest import LENIENT

MakeConfig = Callable[..., Config]


def test_labels_of_another_label_space_are_refused(
    labelled: tuple[Path, PseudoReport], folded: Path, unlabelled: Path, tiny: MakeConfig, tmp_path: Path
) -> None:
    path, _ = labelled
    with pytest.raises(UserError, match="the config that trains on it is of another label space: age has the classes"):
        with_pseudo_labels(tiny({"labels.tasks.age.edges": [20, 60]}), path)
    other = tiny({"labels.tasks": {"mask": {"classes": ["wear", "incorrect", "not_worn"]}}})
    with pytest.raises(UserError, match=r"another label space: .* has the tasks mask, gender, age"):
        with_pseudo_labels(other, path)
    with pytest.raises(UserError, match="another label space"):
        label_images(folded, unlabelled, tmp_path / "l.csv", LENIENT, config=other)
    assert not any(tmp_path.iterdir())


def test_a_table_of_a_source_that_is_several_already_is_one_more(
    labelled: tuple[Path, PseudoReport], folded: Path
) -> None:
    path, _ = labelled
    once = with_pseudo_labels(read_run(folded).config, path)
    twice = with_pseudo_labels(once, path)
    assert twice == once  # the table of the round before makes way


def two_sources(tiny: MakeConfig, drawn: Path, changes: dict[str, object]) -> Config:
    """A config of the drawn set and, as another source, its gender and age only."""
    sources = {
        "people": {"root": str(drawn), "source": {"name": "competition"}},
        "pseudo": {"root": str(drawn), "source": {"name": "competition"}, "tasks": ["gender", "age"]},
    }
    source = {"name": "several", "target": "people", "sources": sources}
    return tiny({"data.root": "", "data.source": source, **changes})


def test_a_source_of_that_name_stays(labelled: tuple[Path, PseudoReport], tiny: MakeConfig, drawn: Path) -> None:
    once = with_pseudo_labels(two_sources(tiny, drawn, {}), labelled[0])
    assert list(once.data.source.model_dump()["sources"]) == ["people", "pseudo", "pseudo2"]
    assert once.data.source.model_dump()["sources"]["pseudo"]["source"]["name"] == "competition"
    assert with_pseudo_labels(once, labelled[0]) == once


@pytest.mark.parametrize("key", ["pick_fraction", "test_folds", "train_groups"])
def test_what_would_deal_them_as_the_target_is_refused_where_there_is_none(
    key: str, labelled: tuple[Path, PseudoReport], tiny: MakeConfig, drawn: Path
) -> None:
    changes: dict[str, object] = {f"data.{key}": 0.3 if key == "pick_fraction" else 2}
    config = two_sources(tiny, drawn, {**changes, "training.keep.name": "best"})
    with_pseudo_labels(config, labelled[0])
    with pytest.raises(UserError, match=rf"data\.{key}: .*data\.source\.target"):
        with_pseudo_labels(config.with_changes({"data.source.target": None}), labelled[0])


def test_where_all_sources_validate_no_pseudo_labelled_image_does(
    labelled: tuple[Path, PseudoReport], tiny: MakeConfig, drawn: Path
) -> None:
    config = two_sources(tiny, drawn, {}).with_changes({"data.source.target": None})
    before, after = DataModule(config), DataModule(with_pseudo_labels(config, labelled[0]))
    assert set(before.samples.images[before.split.val]) == set(after.samples.images[after.split.val])
    assert set(after.samples.sources[after.split.train]) == {"people", "pseudo", "pseudo2"}


def test_a_sampler_of_sources_draws_each_image_as_often_as_one_of_the_target(
    labelled: tuple[Path, PseudoReport], tiny: MakeConfig, drawn: Path
) -> None:
    sampler = {"data.sampler": {"name": "per_source", "weights": {"people": 3}}}
    config = with_pseudo_labels(two_sources(tiny, drawn, sampler), labelled[0])
    train = DataModule(config).dataset.training_samples()
    chances = config.data.sampler.chances(train)
    assert chances is not None
    of_people, given = (np.unique(chances[train.sources == name]) for name in ("people", "pseudo2"))
    np.testing.assert_allclose(of_people, given)


def test_a_table_without_its_report_is_refused(
    labelled: tuple[Path, PseudoReport], folded: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "labels.csv"
    shutil.copy(labelled[0], alone)
    with pytest.raises(UserError, match=r"labels.json: no such file"):
        with_pseudo_labels(read_run(folded).config, alone)
    report_path(alone).write_text(json.dumps({"version": 1}))
    with pytest.raises(UserError, match=r"labels.json: is damaged"):
        with_pseudo_labels(read_run(folded).config, alone)
