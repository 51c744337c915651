"""Costs of sharing: training one backbone for all tasks beside the other ways, in turns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

from multitask.bench.timing import Measurement, built_in_both_orders, computing, side_by_side
from multitask.bench.training import Served, benched, some_batches
from multitask.progress import Progress
from multitask.runs.build import TrainingSetup
from multitask.runs.data_module import DataModule
from multitask.training.device import resolve_device

ROUNDS = 9
STEP_ROUNDS = 32
"""Of the comparison with one flat head, whose difference is small."""
STEPS = 2


def measure_sharing(config_path: Path | None, progress: Progress) -> list[Measurement]:
    """The speed of training one backbone with a head for each task, to one head over all classes, and to a network for
    each task. All heads are linear and there is no joint term: nothing differs but how the tasks share.

    Args:
        config_path: whose backbone, data and training; None: as of ``measure``.
        progress: notified of each measurement.

    Raises:
        UserError: the config or its data are not as they must be, or it has one task.
    """
    with benched(config_path) as config:
        plain: dict[str, object] = {"heads": {}, "joint": None, "balancer": "fixed"}
        configs = {  # what cannot be is told first
            way: config.with_changes({**plain, "model.sharing": {"name": way}})
            for way in ("shared", "flat", "separate")
        }

        def turn(way: str) -> Callable[[], object]:
            return _turn(TrainingSetup(configs[way], DataModule(configs[way])), progress)

        ours, flat = built_in_both_orders(partial(turn, "shared"), partial(turn, "flat"))
        num_images = config.training.batch_size * STEPS
        tasks, classes = config.space().num_tasks, config.space().num_classes
        done = progress.stage("measuring", 2, "ratios")
        name = f"training, {tasks} heads, to one of {classes}"
        with computing(resolve_device(config.device)) as clock:
            found = [side_by_side(name, 0.97, num_images, ours, flat, STEP_ROUNDS, clock=clock)]
            done(1)
            # As many networks cost as much as there are of them, less what they have in common.
            separate = turn("separate")
            name = f"training, shared, to {tasks} networks"
            found.append(side_by_side(name, 0.9 * tasks, num_images, ours, separate, ROUNDS, clock=clock))
            done(2)
        return found


def _turn(setup: TrainingSetup, progress: Progress) -> Callable[[], object]:
    """A few steps of training, to be done again and again."""
    network = setup.network()
    steps = Served(list(islice(some_batches(setup, progress).epoch(1), STEPS)))
    return partial(setup.trainer(steps.num_batches, network).train_epoch, 1, steps, Progress())
