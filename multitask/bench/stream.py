"""Training on WebDataset shards that are read as streams, beside the same network on batches in memory."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from itertools import chain, count, cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multitask.bench.timing import Measurement, computing, of_speeds
from multitask.bench.training import Served, benched
from multitask.config import Config, load_config
from multitask.data.batch import Batch
from multitask.data.loading import Batches
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.labels import MISSING
from multitask.progress import Progress
from multitask.runs.build import TrainingSetup
from multitask.runs.data_module import DataModule
from multitask.training.loop import Trainer

ROUNDS = 9
BATCHES = 4
"""Of a slice. Slices from shards and from memory take turns, so that a machine that slows down slows both."""
_OF_SHARD = 100


class Slice(Batches):
    """The next batches of an epoch that goes on where the slice before it ended."""

    def __init__(self, made: Iterator[Batch], sizes: list[int], weights: list[NDArray[np.float64]]) -> None:
        self._made, self._weights = made, weights
        self.num_batches, self.num_images = len(sizes), sum(sizes)

    def epoch(self, epoch: int, done: int = 0) -> Iterator[Batch]:
        """The batches, once; whatever the epoch."""
        return islice(self._made, self.num_batches)

    def labelled_weights(self, epoch: int) -> NDArray[np.float64]:
        """(batches, T) the weight of the labelled samples, as of ``Batches``."""
        return np.stack(self._weights)


class Slices:
    """Epochs, one after the other, in slices.

    Args:
        batches: of one epoch.
    """

    def __init__(self, batches: Batches) -> None:
        self._made = _endless(batches)
        self._sizes = cycle(batches.sizes)
        self._weights = chain.from_iterable(map(batches.labelled_weights, count(1)))

    def next(self) -> Slice:
        """The next one, which is read before the one after it."""
        sizes, weights = list(islice(self._sizes, BATCHES)), list(islice(self._weights, BATCHES))
        return Slice(self._made, sizes, weights)

    def close(self) -> None:
        """Stops whoever makes batches ahead."""
        self._made.close()


def _endless(batches: Batches) -> Generator[Batch, None, None]:
    for epoch in count(1):
        yield from batches.epoch(epoch)


def measure_stream(config_path: Path | None, progress: Progress) -> list[Measurement]:
    """What reading shards leaves of the speed of training.

    Args:
        config_path: whose network, shards and settings; None: three heads on MobileNetV2 at 128 x 96 px, and shards of
            drawn images.
        progress: notified of each measurement.

    Raises:
        UserError: the config or its data are not as they must be.
    """
    with streamed(config_path) as config:
        setup = TrainingSetup(config, DataModule(config))
        batches = setup.data.batches("train", progress, setup.device, train=True)
        trainer = setup.trainer(BATCHES)
        clocks: dict[str, AbstractContextManager[Callable[[], float]]] = {"": nullcontext(time.perf_counter)}
        if setup.device.type == "cpu" and config.data.workers in ("auto", 0):  # whose time is not this process's
            clocks = {", one core's processor time": computing(setup.device), ", on the wall": clocks[""]}
        done = progress.stage("measuring", len(clocks), "ratios")
        found = []
        for name, clock in clocks.items():
            with clock as now, closing(Slices(batches)) as slices:
                speeds = _speeds(trainer, slices, now)
            found.append(of_speeds(f"training from shards, to compute alone{name}", 0.95, speeds))
            done(len(found))
        return found


@contextmanager
def streamed(config_path: Path | None) -> Iterator[Config]:
    """The config that is measured.

    Raises:
        UserError: it reads no shards as a stream, or is not as it must be otherwise.
    """
    if config_path is not None:
        config = load_config(config_path)
        if config.data.sampler.name != "stream":
            found = config.data.sampler.name
            raise UserError(f"bench --stream: data.sampler must be {{name: stream}}, found {found} in {config_path}")
        yield config
        return
    with benched(None) as drawn, tempfile.TemporaryDirectory() as folder:
        write_shards(DataModule(drawn).samples, Path(folder))
        source = {"name": "webdataset", "group": "group"}
        yield drawn.with_changes({"data.root": folder, "data.source": source, "data.sampler": {"name": "stream"}})


def write_shards(samples: Samples, folder: Path) -> None:
    """Samples as shards of a hundred, each with its group and a word for every label that is known."""
    space = samples.space
    for start in range(0, len(samples), _OF_SHARD):
        with tarfile.open(folder / f"{start // _OF_SHARD:05d}.tar", "w") as tar:
            for row in range(start, min(start + _OF_SHARD, len(samples))):
                said: dict[str, object] = {"group": samples.groups[row]}
                for task, label, number in zip(space.tasks, samples.labels[row], samples.numbers[row], strict=True):
                    if label != MISSING:
                        said[task.name] = float(number) if task.kind == "binned" else task.classes[label]
                path = samples.paths()[row]
                for suffix, content in ((path.suffix, path.read_bytes()), (".json", json.dumps(said).encode())):
                    member = tarfile.TarInfo(f"{row:07d}{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def _speeds(trainer: Trainer, slices: Slices, now: Callable[[], float]) -> list[tuple[float, float]]:
    """The images a second from shards and of the network alone, a round each."""
    served = Served(list(slices.next().epoch(1)))

    def speed(batches: Batches) -> float:
        began = now()
        trainer.train_epoch(1, batches, Progress())
        return batches.num_images / (now() - began)

    speed(slices.next()), speed(served)  # both once unmeasured: caches, memory pools, threads
    found = []
    for number in range(ROUNDS):
        if number % 2:  # neither always follows the other's heat
            alone = speed(served)
            found.append((speed(slices.next()), alone))
        else:
            found.append((speed(slices.next()), speed(served)))
    return found
