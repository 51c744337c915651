"""The seconds that the runs of a recipe are reckoned to take, by what the clock has measured of those before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from multitask.config import Config
from multitask.data.splits import Split
from multitask.recipe.budget import Clock
from multitask.recipe.speed import ANSWERED
from multitask.runs.data_module import DataModule
from multitask.utils.files import json_digest


class Costs:
    """Seconds of runs, and of what they share.

    Args:
        clock: the recipe's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._data: dict[str, tuple[Split, int]] = {}

    @contextmanager
    def preparing(self, config: Config) -> Iterator[None]:
        """A context in which a run of a config, or a measurement, is what reads images and computes features."""
        worked_s, split = self._clock.worked_s, self.split(config)
        yield
        num_images = sum(map(len, split.parts().values()))
        self._clock.prepared(_preparation(config), self._clock.worked_s - worked_s, num_images)

    def preparing_seconds(self, configs: Sequence[Config], more: int = 0) -> float:
        """What reading images and computing features is reckoned to take that no run of the recipe has kept yet.

        Args:
            configs: of runs.
            more: images beside each config's own.
        """
        new = {_preparation(config): config for config in configs}
        num_images = sum(
            sum(map(len, self.split(config).parts().values())) + more
            for preparation, config in new.items()
            if more or not self._clock.is_prepared(preparation)
        )
        return self._clock.preparing_image_s * num_images

    def split(self, config: Config) -> Split:
        """Who trains, validates and tests in a run."""
        return self._split_and_served(config)[0]

    def _split_and_served(self, config: Config) -> tuple[Split, int]:
        key = f"{config.data.model_dump_json()} {config.seed if config.data.split_seed is None else ''}"
        if key not in self._data:
            data = DataModule(config)
            self._data[key] = data.split, data.num_served
        return self._data[key]

    def num_images(self, config: Config) -> int:
        """Images that train in a run."""
        return len(self.split(config).train)

    def num_served(self, config: Config) -> int:
        """Images that an epoch of a run serves."""
        return self._split_and_served(config)[1]

    def seconds(self, config: Config, num_runs: int = 1, more: int = 0) -> float:
        """What runs of a config are reckoned to take, those who validate and test answered.

        Args:
            config: theirs.
            num_runs: how many.
            more: images that train beside the config's own.
        """
        tested_s = self._image_seconds(ANSWERED * len(self.split(config).test))
        return num_runs * (self._clock.run_s + self.epoch_seconds(config, config.training.epochs, more) + tested_s)

    def epoch_seconds(self, config: Config, num_epochs: int, more: int = 0) -> float:
        """What epochs of a run are reckoned to take, those who validate answered after each."""
        split = self.split(config)
        answered = ANSWERED * (len(split.val) + len(split.pick))
        return self._image_seconds(num_epochs * (self.num_served(config) + more + answered))

    def _image_seconds(self, num_images: float) -> float:
        assert self._clock.image_s is not None, "measured before any stage is planned"
        return self._clock.image_s * num_images

    def answering_seconds(self, config: Config, num_runs: int = 1, **num_answers: int) -> float:
        """What reading and answering images is reckoned to take, of which nothing is kept.

        Args:
            config: of runs.
            num_runs: how many.
            num_answers: a split -> how often each of its images is answered.
        """
        parts = self.split(config).parts()
        num = num_runs * sum(len(parts.get(split, ())) * times for split, times in num_answers.items())
        return num * max(self._image_seconds(ANSWERED), self._clock.preparing_image_s)


def _preparation(config: Config) -> str:
    """The digest of what decides how a run's images are read, and which features are computed of them and kept."""
    data, backbone = config.data, config.model.backbone
    depends: dict[str, Any] = data.model_dump(
        mode="json", include={"root", "source", "image_size", "crop", "fit", "background", "value_range"}
    )
    if backbone.freeze == "all" and (
        backbone.features or not any(one.changes_images for one in data.augmentations(config.augment).values())
    ):
        depends |= {"backbone": backbone.model_dump(mode="json"), "augment": config.augment.model_dump(mode="json")}
    return json_digest(depends)
