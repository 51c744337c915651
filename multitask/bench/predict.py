"""Ratios of answering images: engines, whole jobs, one image, a process from its start; and of macro-F1."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from multitask.bench.drawn_run import DrawnRun, enlarge
from multitask.bench.timing import Measurement, of_speeds, one_core, side_by_side
from multitask.data.images import Pixels
from multitask.data.synthetic import draw_set
from multitask.errors import UserError
from multitask.evaluation.metrics import Scores
from multitask.inference.engines import Engine, EngineSettings, engine_settings
from multitask.inference.inputs import InputOptions, NamedInputs
from multitask.inference.predict_files import predict_files
from multitask.inference.predictor import Predictor
from multitask.inference.stream import ImageInput
from multitask.progress import Progress
from multitask.runs.data_module import DataModule
from multitask.runs.networks import load_network
from multitask.runs.predict import write_submission

BATCH = 64
START_S = 0.8
"""Processor seconds that a process may take which answers one image by an exported file."""
MOBILENET = {
    "model.backbone": {"name": "mobilenetv2_100", "weights": "none"},  # which change no speed
    "data.image_size": [128, 96],
    "training.batch_size": BATCH,
    "training.epochs": 1,
}


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        queries: drawn groups whose images are answered, seven each.
        batches: of ``BATCH`` images that an engine computes in a turn.
        singles: images that are answered one by one in a turn.
        rounds: turns of each side.
        jobs: turns of each side, of all images from their files.
        starts: of a process.
        groups: drawn, by which the network is trained and validated whose macro-F1 is measured.
    """

    queries: int = 300
    batches: int = 2
    singles: int = 20
    rounds: int = 9
    jobs: int = 3
    starts: int = 5
    groups: int = 160


@dataclass(frozen=True)
class Contender:
    """An engine at a precision.

    Attributes:
        engine: a row of ``ENGINES``.
        precision: that it computes in.
        speed: how many times as many images a second as PyTorch it should compute on one core; None: no bound.
        loss: of macro-F1, the most that it should cost.
    """

    engine: str
    precision: str
    speed: float | None
    loss: float

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}"


CONTENDERS = (
    Contender("onnxruntime", "fp32", 2.4, 0.002),
    Contender("openvino", "fp32", None, 0.002),
    Contender("openvino", "bf16", 5.0, 0.01),
    Contender("onnxruntime", "int8", None, 0.01),
    Contender("openvino", "int8", None, 0.01),
)


def measure_predict(
    progress: Progress,
    scale: Scale | None = None,
    network: Mapping[str, Any] = MOBILENET,
    scored: Mapping[str, Any] | None = None,
) -> list[Measurement]:
    """The speed of answering images by three heads on MobileNetV2 at 128 x 96 px, and what engines cost in macro-F1.

    Macro-F1 is that of the demo's network, which learns from nothing in a minute, so that there is something to lose.

    Engines that are not installed, or cannot compute here, are left out, and a note says what would bring them.

    Args:
        progress: notified of each ratio.
        scale: how much is measured; None: what ``multitask bench --predict`` does.
        network: of which the speed is measured, as changes of the demo's config.
        scored: likewise, of which macro-F1 is measured; None: no changes.
    """
    scale = scale or Scale()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_set(folder / "set", people=12, eval_people=scale.queries)
        paths = enlarge(folder / "set" / "eval" / "images")
        answered = DrawnRun.train(folder / "mobilenet", folder / "set", network, progress)
        contenders = [one for one in CONTENDERS if _can_open(answered, one, progress)]
        speed = _Speed(answered, folder, paths, contenders, scale)
        done = progress.stage("measuring", 2 * len(contenders) + speed.num_others, "ratios")
        found = []
        for measured in speed.rows():
            found.append(measured)
            done(len(found))
        if contenders:
            draw_set(folder / "scored", people=scale.groups)
            small = DrawnRun.train(folder / "small", folder / "scored", scored or {}, Progress())
            for measured in score_rows(small, contenders):
                found.append(measured)
                done(len(found))
        return found


def _can_open(answered: DrawnRun, one: Contender, progress: Progress) -> bool:
    """Whether an engine can compute the run here; a note where it cannot."""
    if not answered.files:
        return False
    try:
        answered.open(one.engine, one.precision)
    except UserError as error:
        progress.note(str(error))
        return False
    return True


@dataclass(frozen=True)
class _Speed:
    """The ratios of speeds.

    Attributes:
        answered: by which images are answered.
        folder: with the set that it was trained on, in ``set``; for what is written.
        paths: of the images.
        contenders: that can be opened.
        scale: how much is measured.
    """

    answered: DrawnRun
    folder: Path
    paths: Sequence[Path]
    contenders: Sequence[Contender]
    scale: Scale

    def rows(self) -> Iterator[Measurement]:
        """The ratios, one after the other."""
        yield from self._engines()
        yield from self._whole_jobs()
        yield self._one_image("torch", self._bare_torch)
        if self.answered.files:
            yield self._one_image("onnxruntime", self._bare_onnxruntime)
            yield self._start()

    def _engines(self) -> Iterator[Measurement]:
        """Images a second of each engine on one core, to PyTorch's."""
        batches = [self._pixels(self.paths[:BATCH])] * self.scale.batches

        def computing(engine: Engine) -> Callable[[], object]:
            return lambda: [engine.outputs(batch) for batch in batches]

        amount = sum(map(len, batches))
        with one_core():
            plain = computing(self.answered.open("torch"))
            for one in self.contenders:
                ours = computing(self.answered.open(one.engine, one.precision))
                yield side_by_side(f"engine {one} to torch, one core", one.speed, amount, ours, plain,
                                   self.scale.rounds, clock=time.process_time)  # fmt: skip

    @property
    def num_others(self) -> int:
        """The number of ratios beside those of engines."""
        return len(self._jobs) + (3 if self.answered.files else 1)

    @property
    def _jobs(self) -> dict[str, str | EngineSettings]:
        """What answers a whole job -> as ``Predictor.load`` takes it."""
        jobs: dict[str, str | EngineSettings] = {"an exported file" if self.answered.files else "torch": "auto"}
        bf16 = [one for one in self.contenders if one.precision == "bf16"]
        return jobs | {str(one): engine_settings(one.engine, one.precision) for one in bf16}

    def _whole_jobs(self) -> Iterator[Measurement]:
        """From files to a table of answers, the network's loading included, to the path of submissions."""
        root = self.folder / "set"
        inputs = NamedInputs([str(root / "eval" / "images")], InputOptions())
        path = self.answered.files.get("fp32", self.answered.trained.folder.path)

        def answering(engine: str | EngineSettings) -> Callable[[], object]:
            output = self.folder / "answers.csv"
            return lambda: predict_files(Predictor.load(path, engine=engine), inputs, output, Progress())

        def other() -> None:
            write_submission(self.answered.trained, root, self.folder / "submission.csv", Progress())

        for name, engine in self._jobs.items():
            yield side_by_side(f"files to answers by {name}, to a submission by torch", 3.0, len(self.paths),
                               answering(engine), other, self.scale.jobs)  # fmt: skip

    def _one_image(self, name: str, make_bare: Callable[[], Callable[[], object]]) -> Measurement:
        """An image's file to its prediction, to the bare network on a tensor that is ready."""
        num = self.scale.singles
        with one_core():
            predictor, bare = Predictor(self.answered.open(name)), make_bare()

            def ours() -> None:
                for _ in range(num):
                    predictor.predict(self.paths[0])

            def other() -> None:
                for _ in range(num):
                    bare()

            return side_by_side(f"one image's file by a Predictor, to the bare network, {name}", 1 / 1.3, num,
                                ours, other, self.scale.rounds, clock=time.process_time)  # fmt: skip

    def _bare_torch(self) -> Callable[[], object]:
        loaded = load_network(self.answered.trained)
        pixels = torch.from_numpy(self._pixels(self.paths[:1]))
        ready = DataModule(self.answered.trained.config).preprocessing.normalise(pixels)

        def compute() -> None:
            with loaded.computing():
                loaded.network(ready)

        return compute

    def _bare_onnxruntime(self) -> Callable[[], object]:
        from multitask.inference.engines.onnxruntime import open_session
        from multitask.inference.export.exported import IMAGES, head_outputs

        session = open_session(str(self.answered.files["fp32"]), 1)
        names = list(head_outputs(self.answered.open("onnxruntime").spec).values())
        ready = self._pixels(self.paths[:1])
        return lambda: session.run(names, {IMAGES: ready})

    def _start(self) -> Measurement:
        """A process that answers one image by the exported file, to one that does by the run."""
        file, run = self.answered.files["fp32"], self.answered.trained.folder.path
        took = [(self._process_s(file), self._process_s(run)) for _ in range(self.scale.starts)]
        name = "a process that answers one image by an exported file, to one by the run"
        found = of_speeds(name, None, [(1 / mine, 1 / other) for mine, other in took], "a second")
        mine, other = np.median(took, axis=0)
        note = f"processor time {mine:.2f} s, wanted at most {START_S:g} s; by the run {other:.2f} s"
        return replace(found, note=note)

    def _process_s(self, path: Path) -> float:
        """Processor seconds of a process from its start."""
        before = _children_s()
        words = ["multitask", "predict", str(path), str(self.paths[0]), "-o", str(self.folder / "one.csv"), "--quiet"]
        ended = subprocess.run(
            [sys.executable, "-P", "-m", *words], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if ended.returncode:
            last = ended.stderr.decode(errors="replace").strip().splitlines() or [""]
            raise UserError(f"bench: multitask predict ended with exit code {ended.returncode}: {last[-1]}")
        return _children_s() - before

    def _pixels(self, paths: Sequence[Path]) -> Pixels:
        """(N, H, W, 3), as engines take them."""
        batches = Predictor(self.answered.open("torch")).batches(ImageInput(str(path), path) for path in paths)
        return np.concatenate([batch.pixels for batch in batches])


def score_rows(scored: DrawnRun, contenders: Sequence[Contender]) -> Iterator[Measurement]:
    """Macro-F1 of engines on the images that validated a run, to PyTorch's."""
    data = DataModule(scored.trained.config)
    samples = data.samples.take(data.dataset.indices("val"))
    paths = list(samples.paths())

    def score(engine: Engine) -> float:
        return Scores(samples.classes, Predictor(engine).predict(paths).predicted, samples.space.possible).macro_f1

    plain = score(scored.open("torch"))
    for one in contenders:
        found = score(scored.open(one.engine, one.precision))
        bound = None if plain <= one.loss else 1 - one.loss / plain
        note = f"{found:.4f} to {plain:.4f} on {len(paths):,} images, wanted within {one.loss:g}"
        ratio = 1.0 if found == plain else found / max(plain, 1e-9)
        yield Measurement(f"macro-F1 of {one} to torch", ratio, None, None, bound, found, plain, "macro-F1", note)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
