"""The ``data`` section of a config. What it is for is imported when it is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from multitask.data.augment_settings import AugmentSettings, SourceAugmentSettings
from multitask.data.contradictions import ContradictionsName
from multitask.data.corrections import CorrectionsSettings
from multitask.data.crop import AnyCrop, CropSettings, WholeSettings
from multitask.data.fit import FitName
from multitask.data.formats import WHITE
from multitask.data.samplers import AnySampler, PerSourceSettings, StreamSettings, UniformSettings
from multitask.data.sources import AnySource, CompetitionSettings, SeveralSettings, WebDatasetSettings
from multitask.errors import UserError, nearest
from multitask.labels import Cell
from multitask.settings import ConfigPath, Count, Float, Folds, Int, PositiveInt, Seed, Settings, resolve_path

if TYPE_CHECKING:
    from multitask.data.colours import Decoding
    from multitask.data.images import Preprocessing

CacheName = Literal["auto", "memory", "disk", "none"]

DATA_CROP = "data.crop"
"""The key of the crop of images whose source has none of its own."""
_Channel = Annotated[Int, Field(ge=0, le=255)]
Background = tuple[_Channel, _Channel, _Channel]


def _check_range(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] >= value[1]:
        raise ValueError(f"the first, which becomes black, must be below the second, found {list(value)}")
    return value


ValueRange = Annotated[tuple[Float, Float], AfterValidator(_check_range)]

Side = Annotated[PositiveInt, Field(ge=8, le=8192)]
ImageSize = Annotated[
    tuple[Side, Side],
    BeforeValidator(
        lambda value: (value, value) if isinstance(value, int) else value,
        json_schema_input_type=Side | tuple[Side, Side],
    ),
]


class DataSettings(Settings):
    """The ``data`` section: the images, their split, and their preprocessing."""

    root: Annotated[str, BeforeValidator(resolve_path)] = ""
    """The folder that the source reads; empty only where several sources have roots of their own."""
    source: AnySource = CompetitionSettings()
    """The layout that images and labels are in."""
    corrections: CorrectionsSettings | None = None
    """Files of label corrections that are made to what the source says."""
    contradictions: ContradictionsName = "error"
    """What is done with groups whose images have different labels in a task with ``per_group: true``. error: they are
    refused; majority: all get the label that most have, none where two are as frequent; drop: they are left out; keep:
    they stay as they are. They are named and counted in any case. This changes images that validate and test too."""
    sampler: AnySampler = UniformSettings()
    """Frequency with which each image is drawn in training."""
    val_fraction: Annotated[Float, Field(ge=0, lt=1)] = 0.2
    """The share of the groups that validates, met to a few groups, since classes are shared too; 0: all train."""
    folds: Folds | None = None
    """The number of folds that the groups are dealt into; fold ``fold`` validates, in place of ``val_fraction``."""
    fold: Annotated[Count, Field(le=999)] = 0
    """Which of the folds validates, from 0."""
    pick_fraction: Annotated[Float, Field(ge=0, lt=1)] = 0.0
    """The share of the groups that would train which picks the epoch (``training.keep``, ``patience``), so that those
    who validate only answer and flatter no rule of picking; 0: those who validate pick too."""
    test_folds: Annotated[Folds | None, Field(exclude_if=lambda folds: folds is None)] = None
    """The number of folds that the groups which would train are dealt into; those of fold ``test_fold`` test, in place
    of whoever the source says: they neither train nor pick an epoch or a decode rule."""
    test_fold: Annotated[Count, Field(le=999, exclude_if=lambda fold: not fold)] = 0
    """Which of these tests, from 0."""
    train_groups: PositiveInt | None = None
    """At most so many groups train, the classes' shares kept; those of a smaller number are among those of a larger.
    Those that pick are out of these."""
    held_out: tuple[Cell, ...] = ()
    """Cells whose images validate but never train, written as in ``labels.impossible``."""
    split_seed: Seed | None = None
    """Of the split; None: the run's seed. With one of its own, the same groups validate in runs of several seeds."""
    image_size: ImageSize = (128, 96)
    """Height and width in pixels; one number for a square."""
    crop: AnyCrop = WholeSettings()
    """Which part of an image is seen, at training, validation and test alike."""
    fit: FitName = "crop"
    """Fitting of the cropped image to ``image_size`` where its shape is another. crop: scaled until it covers it, and
    cut evenly at both ends; pad: scaled until it is inside, the rest is ``background``; stretch: each side on its
    own."""
    background: Background = WHITE
    """The colour behind transparent pixels, and of padding: RGB, each from 0 to 255."""
    value_range: ValueRange | None = None
    """The values that become black and white in grey images of more than 8 bits; None: 0 and 65535 of unsigned 16-bit
    ones, 0
    and 1 of floats; others are refused. The same for all images, whatever the values of each."""
    cache: CacheName = "auto"
    """Where decoded images stay: in memory, for this run; on disk, for others too; or nowhere. auto: in memory if
    they take at most half of what is free, else on disk if they take at most half of what is free there; nowhere
    beside the sampler ``stream``."""
    cache_dir: ConfigPath | None = None
    """The folder for what stays on disk; None: ``$XDG_CACHE_HOME/multitask``."""
    workers: Annotated[Count, Field(le=256)] | Literal["auto"] = "auto"
    """Processes that make batches; 0: a thread; auto: a thread on a CPU, up to 8 processes beside a GPU."""

    @model_validator(mode="after")
    def _check(self) -> DataSettings:
        self._check_sources()
        self._check_split()
        return self

    def _check_sources(self) -> None:
        """The root, the crop, the fit and the sampler, of one source or of several."""
        several = isinstance(self.source, SeveralSettings)
        if several and self.root:
            raise ValueError(f"root: {self.root} would be ignored: each of several sources has a root of its own")
        if not several and not self.root:
            raise ValueError("root: must name the folder that the images are in")
        if isinstance(self.source, SeveralSettings):
            for key in ("crop", "fit"):
                own = [getattr(part, key) is not None for part in self.source.sources.values()]
                if all(own) and getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(f"{key}: would be ignored: each of the sources has one of its own")
        if isinstance(self.sampler, PerSourceSettings):
            if not isinstance(self.source, SeveralSettings):
                raise ValueError(f"sampler: per_source needs several sources, found {self.source.name}")
            for name in self.sampler.weights:
                if name not in self.source.sources:
                    near = nearest(name, self.source.sources)
                    raise ValueError(f"sampler.weights.{name}: there is no source of that name{near}")
        if isinstance(self.sampler, StreamSettings):
            self._check_stream()

    def _check_split(self) -> None:
        """Who validates, tests and picks is said once, by the source or by these settings."""
        if self.source.says_sides:
            for key in ("folds", "split_seed", "val_fraction"):
                if key == "split_seed" and self.test_folds is not None:
                    continue  # which deals the test folds
                if getattr(self, key) != type(self).model_fields[key].default:
                    how = "; splits: {train: [train, val], val: []} deals those who train" if key == "folds" else ""
                    raise ValueError(
                        f"{key}: {getattr(self, key)} would be ignored: the source says who validates{how}"
                    )
        if self.folds is None and self.fold:
            raise ValueError(f"fold: is {self.fold}, but folds says no number of folds")
        if self.test_folds is None and self.test_fold:
            raise ValueError(f"test_fold: is {self.test_fold}, but test_folds says no number of folds")
        if self.test_folds is not None and self.test_fold >= self.test_folds:
            raise ValueError(f"test_fold: must be below test_folds ({self.test_folds}), found {self.test_fold}")
        if self.folds is not None:
            if self.fold >= self.folds:
                raise ValueError(f"fold: must be below folds ({self.folds}), found {self.fold}")
            if self.val_fraction != type(self).model_fields["val_fraction"].default:
                raise ValueError(f"val_fraction: {self.val_fraction} would be ignored beside folds: {self.folds}")
        elif self.val_fraction == 0 and self.pick_fraction and not self.source.says_sides:
            raise ValueError(
                f"pick_fraction: {self.pick_fraction:g} would keep groups from training though none validates, since "
                "val_fraction is 0; set val_fraction instead"
            )
        elif (
            self.val_fraction == 0 and self.split_seed is not None and self.train_groups is None and not self.test_folds
        ):
            raise ValueError(f"split_seed: {self.split_seed} would be ignored, since val_fraction is 0")

    def _check_stream(self) -> None:
        parts = [self.source]
        if isinstance(self.source, SeveralSettings):
            parts = [part.source for part in self.source.sources.values()]
        if other := next((part.name for part in parts if not isinstance(part, WebDatasetSettings)), None):
            raise ValueError(
                f"sampler: stream reads shards in their order and needs the source webdataset, found {other}"
            )
        if self.cache in ("memory", "disk"):
            raise ValueError(
                f"sampler: stream would be ignored beside cache: {self.cache}, where all images are decoded before the "
                "first epoch; leave cache out, or the sampler"
            )

    def decoding(self) -> Decoding:
        """The conversion of images that are not plain 8-bit ones."""
        from multitask.data.colours import Decoding

        return Decoding(self.background, self.value_range)

    def preprocessing(
        self, normalisation: tuple[Sequence[float], Sequence[float]], source: str | None = None
    ) -> Preprocessing:
        """The preprocessing of images, the same at training, validation and test.

        Args:
            normalisation: mean and standard deviation of each channel, of pixels from 0 to 1.
            source: which of several sources the images are of; None: the one whose images are to be answered.

        Raises:
            UserError: the crop needs a model that cannot be used.
        """
        from multitask.data.images import Preprocessing

        mean, std = normalisation
        crop, fit, key = self.framing(source)
        try:
            return Preprocessing(self.image_size, crop, mean, std, fit=fit, decoding=self.decoding())
        except UserError as error:  # the crop's, which knows no key but the data section's
            raise UserError(str(error).replace(DATA_CROP, key, 1)) from None

    def framing(self, source: str | None = None) -> tuple[CropSettings, FitName, str]:
        """The crop and fit of a source's images, and the crop's key; ``source`` as of ``preprocessing``."""
        if not isinstance(self.source, SeveralSettings):
            return self.crop, self.fit, DATA_CROP
        name = source or self.source.queried
        part = self.source.sources[name]
        key = DATA_CROP if part.crop is None else f"data.source.sources.{name}.crop"
        return part.crop or self.crop, part.fit or self.fit, key

    def loss_weights(self) -> dict[str, dict[str, float]]:
        """By source, how much its images count in each loss; only of sources that say it of some."""
        parts = self.source.sources if isinstance(self.source, SeveralSettings) else {}
        return {name: part.weights for name, part in parts.items() if part.weights}

    def augmented(self, augment: AugmentSettings) -> dict[str, AugmentSettings]:
        """The augmentation of the sources that have another than ``augment``, by name."""
        parts = self.source.sources if isinstance(self.source, SeveralSettings) else {}
        return {
            name: SourceAugmentSettings(**{**dict(augment), "strength": strength}, cover=part.cover)
            for name, part in parts.items()
            if (strength := augment.strength if part.strength is None else part.strength) != augment.strength
            or part.cover.share
        }

    def augmentations(self, augment: AugmentSettings) -> dict[str, AugmentSettings]:
        """The augmentations that images get, by the section of their keys: of sources with one of their own, theirs."""
        own = self.augmented(augment)
        common = {} if own and len(own) == len(self.source_names) else {"augment": augment}
        return {**common, **{f"data.source.sources.{name}": of_source for name, of_source in own.items()}}

    @property
    def none_validate(self) -> bool:
        """Whether all groups train, unless the source says otherwise."""
        return self.val_fraction == 0 and self.folds is None

    @property
    def source_names(self) -> tuple[str, ...]:
        """The names of several sources, the one whose images are to be answered first; none where there is one."""
        if not isinstance(self.source, SeveralSettings):
            return ()
        first = self.source.queried
        return (first, *(name for name in self.source.sources if name != first))

    @property
    def reframed(self) -> tuple[str, ...]:
        """The sources whose crop or fit is another than that of the images that are to be answered."""
        if not isinstance(self.source, SeveralSettings):
            return ()
        return tuple(name for name in self.source.sources if self.framing(name)[:2] != self.framing()[:2])

    @property
    def cache_folder(self) -> Path:
        """Where arrays are kept for other runs, unless these share a folder of their own."""
        from multitask.utils.shared_arrays import default_folder

        return default_folder() if self.cache_dir is None else Path(self.cache_dir)

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders that the source reads."""
        if isinstance(self.source, SeveralSettings):
            return tuple(Path(part.root) for part in self.source.sources.values())
        return (Path(self.root),)

    def check_roots(self, hint: str = "") -> None:
        """Checks that the folders that the source reads are there, which a synthetic one would else draw.

        Args:
            hint: added to the line: how to go on.

        Raises:
            UserError: one is not.
        """
        for root in self.roots:
            if not root.is_dir():
                raise UserError(f"{root}: no such folder{hint}")
