"""Costs of balancers: their training steps beside that of fixed weights, in turns."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from multitask.balancers import BALANCERS, BalancerSettings
from multitask.bench.timing import Measurement, computing, side_by_side
from multitask.bench.training import Served, benched, some_batches
from multitask.progress import Progress
from multitask.runs.build import TrainingSetup
from multitask.runs.data_module import DataModule

ROUNDS = 7
STEPS = 2
BOUND = 0.8
"""Of the methods that look at each loss's gradient: at most 1.25 times the step."""


def measure_balancers(config_path: Path | None, progress: Progress) -> list[Measurement]:
    """The speed of training with each balancer, to training with fixed weights.

    Args:
        config_path: whose network, data and settings, but for the balancer and the weights; None: as of ``measure``.
        progress: notified of each measurement.

    Raises:
        UserError: the config or its data are not as they must be, or it has one loss.
    """
    rows = {name: row for name, row in BALANCERS.items() if name != "fixed"}
    with benched(config_path) as config:
        even = {f"heads.{name}.weight": 1.0 for name in config.heads}  # every loss counts the same
        if config.joint is not None:
            even["joint.weight"] = 1.0
        fixed = config.with_changes({**even, "balancer": "fixed"})
        # What cannot be is told before anything is measured.
        configs = {name: config.with_changes({**even, "balancer": name}) for name in rows}
        setup = TrainingSetup(fixed, DataModule(fixed))
        steps = Served(list(islice(some_batches(setup, progress).epoch(1), STEPS)))
        other = setup.trainer(steps.num_batches)
        done = progress.stage("measuring", len(rows), "ratios")
        found = []
        with computing(other.device) as clock:
            for count, (name, row) in enumerate(rows.items(), start=1):
                assert issubclass(row, BalancerSettings)
                ours = TrainingSetup(configs[name], setup.data).trainer(steps.num_batches)
                found.append(
                    side_by_side(
                        f"{name}, to fixed",
                        BOUND if row.needs_features else None,
                        steps.num_images,
                        lambda ours=ours: ours.train_epoch(1, steps, Progress()),  # type: ignore[misc]
                        lambda: other.train_epoch(1, steps, Progress()),
                        ROUNDS,
                        clock=clock,
                    )
                )
                done(count)
        return found
