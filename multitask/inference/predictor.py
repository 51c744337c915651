"""The predictor: a trained run, or an exported file, that answers images."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, overload

from PIL import Image

from multitask.errors import UserError
from multitask.evaluation.conformity import LAC
from multitask.evaluation.decode import ModelOutputs
from multitask.evaluation.views import Views
from multitask.inference.engines import Engine, EngineSettings, engine_settings
from multitask.inference.engines.auto import open_fastest
from multitask.inference.engines.viewed import ViewedEngine
from multitask.inference.grouped import answer_groups, grouped_inputs
from multitask.inference.image_like import BoxLike, ImageLike, are_several, image_input, image_inputs, is_one
from multitask.inference.kept_outputs import AnsweredBatch, Computed
from multitask.inference.prediction import Prediction, PredictionBatch
from multitask.inference.promises import Promises
from multitask.inference.spec import InferenceSpec
from multitask.inference.stream import ImageInput, InputBatch, read_batches, read_now
from multitask.labels import LabelSpace
from multitask.utils.ranks import ranks

if TYPE_CHECKING:
    from multitask.runs.viewed_calibration import ViewedCalibration


class Predictor:
    """A trained run, a run in folds or an exported file, that answers images; any number of threads may ask it.

    Pickled for another process it is what ``load`` was given, and is loaded anew there.

    Args:
        engine: computes the network.

    Attributes:
        engine: as given.
        spec: what is around the network.

    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from multitask.testing import tiny_run
    >>> folder = TemporaryDirectory()
    >>> predictor = Predictor.load(tiny_run(folder.name))
    >>> image = np.zeros((96, 64, 3), dtype=np.uint8)  # or a path, or a PIL image
    >>> prediction = predictor.predict(image)
    >>> list(prediction.labels), prediction.class_name == "/".join(prediction.labels.values())
    (['mask', 'gender', 'age'], True)
    >>> round(sum(prediction.probs["age"].values()), 6)
    1.0
    >>> predictions = predictor.predict([image] * 3, batch_size=2)
    >>> len(predictions), predictions[2].class_name == prediction.class_name
    (3, True)
    >>> list(predictions.to_pandas().columns)
    ['image', 'mask', 'gender', 'age', 'class', 'p(mask)', 'p(gender)', 'p(age)', 'p(class)']
    >>> folder.cleanup()
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.spec: InferenceSpec = engine.spec
        self._preprocessing = self.spec.preprocessing()
        self._load: Callable[[], Predictor] | None = None
        self._calls = count()  # a randomised set of one image is drawn anew each time that it is asked for

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        engine: str | EngineSettings = "auto",
        device: str | None = None,
        views: Sequence[str] = (),
        views_except: Sequence[str] = (),
        allow_extensions: bool = False,
    ) -> Predictor:
        """The predictor of a run's folder, or of an exported file.

        Args:
            path: of either.
            engine: a row of ``ENGINES``, by name or as settings; ``auto``: the fastest that is installed and gives the
                same outputs, as of ``engines.auto``.
            device: as a config's; None: the run's own.
            views: rows of ``evaluation.views.VIEWS``: each image is answered by them too, and the answers are averaged.
            views_except: tasks that do without a view, each as ``TASK:VIEW``.
            allow_extensions: whether code that the run's config names may run.

        Raises:
            UserError: there is neither at ``path``, it is damaged, or the engine is unknown, not installed or cannot
                open it; as of ``Views.parse``.
        """
        path = Path(path)
        if not path.exists():
            raise UserError(f"{path}: no such run or exported file")
        again = partial(
            cls.load,
            path.absolute(),
            engine=engine,
            device=device,
            views=views,
            views_except=views_except,
            allow_extensions=allow_extensions,
        )
        opened = _open(path, engine, device, allow_extensions)
        averaged = Views.parse(views, views_except, opened.spec.space, opened.spec.flip)
        if averaged is not None and opened.spec.tiles is not None:
            raise UserError(
                f"views: the members of {path} see an image in different sizes or crops, side by side; leave them out, "
                "or `multitask evaluate --views`"
            )
        if averaged is not None:
            opened = ViewedEngine(opened, averaged, partial(_calibration, path) if path.is_dir() else None)
        found = cls(opened)
        found._load = again
        return found

    def __reduce__(self) -> tuple[Callable[[], Predictor], tuple[()]]:
        if self._load is None:
            raise TypeError("a Predictor of an engine cannot be pickled; one of Predictor.load can")
        return self._load, ()

    @property
    def space(self) -> LabelSpace:
        """The label space of the predictions."""
        return self.spec.space

    @property
    def needs_boxes(self) -> bool:
        """Whether each image is cropped to a box that is given with it, and that nothing finds."""
        return self.spec.crop.boxed and self._preprocessing.detector is None

    @overload
    def predict(  # type: ignore[overload-overlap]  # an array is iterable too
        self,
        images: ImageLike,
        batch_size: int | None = None,
        *,
        boxes: BoxLike | None = None,
        coverage: float | None = None,
        max_risk: float | None = None,
        sets: str = LAC.name,
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        images: Iterable[ImageLike],
        batch_size: int | None = None,
        *,
        boxes: Iterable[BoxLike | None] | None = None,
        groups: Iterable[object] | None = None,
        coverage: float | None = None,
        max_risk: float | None = None,
        sets: str = LAC.name,
    ) -> PredictionBatch: ...
    def predict(
        self,
        images: ImageLike | Iterable[ImageLike],
        batch_size: int | None = None,
        *,
        boxes: BoxLike | Iterable[BoxLike | None] | None = None,
        groups: Iterable[object] | None = None,
        coverage: float | None = None,
        max_risk: float | None = None,
        sets: str = LAC.name,
    ) -> Prediction | PredictionBatch:
        """The predictions of images, by the run's decode rule, with calibrated probabilities.

        Args:
            images: one image or any iterable of images, each as of ``ImageLike``; an (N, H, W, 3) array is N of them.
                Where its path is given a large JPEG is decoded at a smaller scale, which moves its probabilities a
                little from those of its decoded pixels.
            batch_size: how many are computed at a time; None: as many as in training. It changes no prediction but
                for rounding.
            boxes: where the run crops each image to a box that is given with it, left, top, right and bottom in the
                image's pixels: of the one image, or for each; None in it: unknown, and the crop falls back as in
                training.
            groups: the group of each image, as text; images of one are answered together in the tasks per group. None
                or NaN in it: that image is on its own. None: all are.
            coverage: of the sets to give beside, as of ``promises``; None: no sets.
            max_risk: above which ``ask`` says so, likewise; None: it says nothing.
            sets: how they are made, likewise.

        Returns:
            ``Prediction`` of one image, else ``PredictionBatch``.

        Raises:
            UserError: an image cannot be read, or is none of these; there are groups, but not one for each image, or
                no task of the run is per group; the run needs boxes and there is not one for each image, or the other
                way round; or as of ``promises``.
        """
        promises = self.promises(coverage, max_risk, sets)
        self._check_boxes(boxes)
        if is_one(images):
            if groups is not None:
                raise UserError("groups: are of several images; give a list of images")
            return self.predict_batch(read_now(image_input(images, 0, boxes), self._preprocessing), promises)[0]
        assert not isinstance(images, (str, os.PathLike, Image.Image))  # mypy narrows no overload by a guard
        if not are_several(images):
            raise UserError(
                f"images: must be an image or several, found {type(images).__name__}; paths, PIL images and arrays are "
                "images, and any iterable of them"
            )
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise UserError(f"batch_size: must be a whole number from 1, found {batch_size!r}")
        inputs = image_inputs(images, boxes)
        if groups is None:
            batches = [self.predict_batch(batch, promises) for batch in self.batches(inputs, batch_size)]
        else:
            read = map(_readable, self.batches(grouped_inputs(inputs, groups), batch_size))
            computed = self.compute(read)
            batches = [answered.predictions for answered in self.answer_groups(computed, coverage, max_risk, sets)]
        return PredictionBatch.concatenate(batches, self.space)

    def _check_boxes(self, boxes: object) -> None:
        if self.needs_boxes and boxes is None:
            raise UserError(
                "boxes: the run crops each image to a box of its own; give left, top, right and bottom of each"
            )
        if boxes is not None and not self.needs_boxes:
            raise UserError("boxes: would be ignored: the run's crop takes none")

    def answer_groups(
        self,
        computed: Iterable[Computed],
        coverage: float | None = None,
        max_risk: float | None = None,
        sets: str = LAC.name,
    ) -> Iterator[AnsweredBatch]:
        """The predictions of all images of a job as members of their groups, as of ``grouped.answer_groups``.

        Args:
            computed: as of ``compute``, of all images; taken to the end before the first is answered.
            coverage: as of ``promises``.
            max_risk: likewise.
            sets: likewise.
        """
        promises = self.promises(coverage, max_risk, sets)
        of_groups = self.promises(coverage, max_risk, sets, for_groups=True)
        return answer_groups(self.spec, computed, promises, of_groups)

    def promises(
        self,
        coverage: float | None = None,
        max_risk: float | None = None,
        sets: str = LAC.name,
        *,
        for_groups: bool = False,
    ) -> Promises:
        """Prediction sets of a coverage and abstaining at a risk, for images of new groups.

        The set of each task, and that of the class, holds the right label with at least the probability ``coverage``;
        those that too few groups calibrate are left out, which ``notes`` tells.
        Of the images that are not to be asked at most the share ``max_risk`` is wrong.

        Args:
            coverage: as of ``Promises.of``.
            max_risk: likewise.
            sets: likewise.
            for_groups: whether for images that are answered as members of their groups.

        Raises:
            UserError: as of ``Promises.of``; no task of the run is per group; views are averaged, and the run was not
                evaluated with them.
        """
        calibration = (self.spec.for_groups() if for_groups else self.spec).calibration
        asked = coverage is not None or max_risk is not None
        if asked and calibration is not None and isinstance(self.engine, ViewedEngine):
            found = self.engine.calibration
            calibration = found.grouped if for_groups else found.single
        return Promises.of(self.space, calibration, coverage, max_risk, sets, next(self._calls))

    def batches(self, inputs: Iterable[ImageInput], batch_size: int | None = None) -> Generator[InputBatch, None, None]:
        """Images read ahead, as of ``read_batches``."""
        return read_batches(inputs, self._preprocessing, batch_size or self.spec.batch_size)

    def compute(self, batches: Iterable[InputBatch]) -> Iterator[Computed]:
        """Batches with their outputs; their pixels are let go."""
        for batch in batches:
            # A copy: a slice holds all pixels.
            without = replace(batch, pixels=batch.pixels[:0].copy())
            yield without, self._outputs(batch)

    def _outputs(self, batch: InputBatch) -> ModelOutputs | None:
        return self.engine.outputs(batch.pixels) if len(batch.pixels) else None

    def answer(self, computed: Computed, promises: Promises | None = None) -> AnsweredBatch:
        """A batch with the predictions of those of its images that could be read, as of ``compute``."""
        batch, outputs = computed
        return AnsweredBatch(batch.inputs, self._decided(batch, outputs, promises), batch.errors)

    def predict_batch(self, batch: InputBatch, promises: Promises | None = None) -> PredictionBatch:
        """The predictions of the images of a batch.

        Raises:
            UserError: one could not be read.
        """
        return self.predict_readable(_readable(batch), promises)

    def predict_readable(self, batch: InputBatch, promises: Promises | None = None) -> PredictionBatch:
        """The predictions of those images of a batch that could be read."""
        return self._decided(batch, self._outputs(batch), promises)

    def _decided(self, batch: InputBatch, outputs: ModelOutputs | None, promises: Promises | None) -> PredictionBatch:
        if outputs is None:
            found = PredictionBatch.concatenate([], self.space)
        else:
            found = PredictionBatch.of(self.spec, outputs, [item.name for item in batch.readable])
        return found if promises is None else found.with_promises(promises)


def _readable(batch: InputBatch) -> InputBatch:
    """The batch; a UserError where an image of it could not be read."""
    for error in batch.errors.values():
        raise error
    return batch


def _calibration(run: Path, views: Views) -> ViewedCalibration:
    from multitask.runs.config import read_run
    from multitask.runs.viewed_calibration import read_viewed_calibration

    return read_viewed_calibration(read_run(run, allow_extensions=True), views)  # what it may run, ran as it was opened


def _open(path: Path, engine: str | EngineSettings, device: str | None, allow_extensions: bool) -> Engine:
    if engine == "auto":
        return open_fastest(path, device, allow_extensions)
    settings = engine_settings(engine) if isinstance(engine, str) else engine
    settings.require()
    return ranks().main_first(lambda: settings.open(path, device, allow_extensions))  # which may export the run first
