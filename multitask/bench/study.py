"""Costs and savings of a study on the machine at hand, as ratios."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from optuna.study import Study
from safetensors.torch import save_file

from multitask.bench.timing import Measurement, computing, side_by_side
from multitask.config import Config, load_config
from multitask.data.synthetic import draw_set
from multitask.model.backbone import Backbone
from multitask.model.settings import BackboneSettings
from multitask.progress import Progress, StudyProgress
from multitask.runs.build import build_network
from multitask.runs.data_module import DataModule
from multitask.runs.frozen_features import computing_batch_size
from multitask.runs.run import RunResult, run
from multitask.settings import validate
from multitask.study.folder import StudyFolder
from multitask.study.interrupt import Interrupt
from multitask.study.per_trial import quieten
from multitask.study.pool import Pool
from multitask.study.provenance import record_of
from multitask.study.pruners import NoPrunerSettings
from multitask.study.search import Search
from multitask.study.settings import Plan, StudySettings, load_study
from multitask.study.storage import folder_url, open_storage, open_study
from multitask.study.study import run_study
from multitask.training.device import resolve_device
from multitask.utils.shipped import config_file

PEOPLE = 100
ROUNDS = 5
TRIALS = 4
"""Of the comparison of two workers with one."""
_SETTINGS = {
    "name": "bench",
    "base": "none",
    "pruner": "none",
    "sampler": "random",
    "budget": {"trials": 1},
    "space": {"heads": {"kind": "head_weights"}},  # which changes nothing that takes time
}
_FROZEN = {
    "model.backbone.freeze": "all",
    "augment.strength": 0.0,
    "augment.mix.mixup_prob": 0.0,
    "augment.mix.cutmix_prob": 0.0,
    "model.backbone.features": None,  # kept beside one trial, and not beside the other
}


def measure_study(config_path: Path | None, progress: Progress) -> list[Measurement]:
    """The costs of a study beside its runs, and its savings.

    Args:
        config_path: whose images and backbone the frozen features are measured with; None: drawn images, and
            MobileNetV2 with random weights.
        progress: notified of each measurement.

    Raises:
        UserError: the config or its data are not as they must be.
    """
    quieten()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_set(folder / "set", people=PEOPLE)
        small = load_config(
            config_file("demo"), [f"data.root={folder / 'set'}", "data.image_size=[64, 48]", "training.epochs=4"]
        )
        base = load_config(config_path) if config_path else _random_demo(folder)
        frozen = base.with_changes(_FROZEN)
        plan = Plan(validate(StudySettings, _SETTINGS), small)
        measurements: tuple[Callable[[], Measurement], ...] = (
            lambda: _overhead(plan, folder / "overhead"),
            lambda: _two_workers(plan, folder / "workers"),
            lambda: _features(partial(run, frozen), folder / "features"),
            lambda: _computing(frozen, folder / "computed"),
            lambda: _pruning(folder / "pruning"),
        )
        done = progress.stage("measuring", len(measurements), "comparisons")
        found = []
        for number, measurement in enumerate(measurements):
            found.append(measurement())
            done(number + 1)
    return found


class _Bench:
    """A study that is given as many trials as are asked for."""

    def __init__(self, plan: Plan, path: Path, workers: int) -> None:
        self.folder = StudyFolder(path)
        path.mkdir(parents=True)
        self.folder.reuse.mkdir()
        self._one = plan
        self._num_trials = 0
        self._storage = open_storage(folder_url(self.folder.database), plan.settings.heartbeat)
        self.pool = Pool(workers, self.folder.log, 300, gpus=True)
        self.study: Study = open_study(self._storage, plan, record_of(plan, ""), extend=False)

    def _plan(self, trials: int) -> Plan:
        settings = {**self._one.settings.model_dump(), "budget": {"trials": trials}}
        return Plan(validate(StudySettings, settings), self._one.base)

    def more(self, trials: int) -> None:
        """Runs so many more trials."""
        self._num_trials += trials
        plan = self._plan(self._num_trials)
        Search(self.study, plan, self.folder, self.pool, StudyProgress(), alone=True).run(Interrupt())


@contextmanager
def _bench(plan: Plan, path: Path, workers: int) -> Iterator[_Bench]:
    bench = _Bench(plan, path, workers)
    try:
        bench.more(workers)  # every worker has imported, decoded and warmed up
        yield bench
    finally:
        bench.pool.close()


def _overhead(plan: Plan, path: Path) -> Measurement:
    """A trial, from asking for it to telling its score, against the same run alone in this process."""
    with _bench(plan, path, 1) as bench:
        bare = iter(range(1_000))
        return side_by_side(
            "trial to bare run",
            0.98,
            1,
            lambda: bench.more(1),
            lambda: run(plan.base, path / f"bare-{next(bare)}", reuse=bench.folder.reuse),
            ROUNDS,
            unit="runs/s",
        )


def _two_workers(plan: Plan, path: Path) -> Measurement:
    """Trials with two workers against the same number with one."""
    with _bench(plan, path / "one", 1) as one, _bench(plan, path / "two", 2) as two:
        return side_by_side(
            "2 workers to 1", None, TRIALS, lambda: two.more(TRIALS), lambda: one.more(TRIALS), 3,
            unit="trials/s",
        )  # fmt: skip


def _random_demo(folder: Path) -> Config:
    """MobileNetV2 at 128 x 96 px on the drawn images; that its weights are random does not change its speed."""
    weights = folder / "random.safetensors"
    settings = BackboneSettings(name="mobilenetv2_100", weights="none")
    torch.manual_seed(0)
    save_file(Backbone(settings, (128, 96)).body.state_dict(), weights)
    return load_config(
        config_file("demo"),
        [
            f"data.root={folder / 'set'}",
            "data.image_size=[128, 96]",
            f"model.backbone={{name: mobilenetv2_100, weights: '{weights}'}}",
        ],
    )


def _features(train: Callable[..., RunResult], path: Path) -> Measurement:
    """A run on features that another run left, against the same run from images; their scores are the same."""
    path.mkdir()
    reuse = path / "reuse"
    reuse.mkdir()
    runs = iter(range(1_000))
    scores: list[tuple[object, object]] = []

    def one(reuse: Path | None) -> None:
        report = train(path / f"run-{next(runs)}", reuse=reuse).report
        assert report is not None
        scores.append((report.joint, report.tasks))

    found = side_by_side(
        "kept features to none", 20.0, 1, lambda: one(reuse), lambda: one(None),
        3, unit="runs/s",
    )  # fmt: skip
    same = all(each == scores[0] for each in scores)
    return Measurement(**{**vars(found), "note": "same scores" if same else "the scores differ"})


def _computing(frozen: Config, path: Path) -> Measurement:
    """The features of all images, computed and kept, against the bare backbone on batches that are ready for it."""
    config = frozen.with_changes({"model.backbone.features": {}, "data.cache": "auto", "data.cache_dir": str(path)})
    device = resolve_device(config.device)
    data, backbone = DataModule(config), build_network(config, device).backbone.eval()
    progress = Progress()
    size = computing_batch_size(config.model.backbone, config.training.batch_size, device)
    pixels = torch.from_numpy(data.store.images(progress).take(data.dataset.indices("all")))
    ready = [data.preprocessing.normalise(part.to(device)) for part in pixels.split(size)]

    def kept() -> None:
        for file in path.glob("features-*"):
            file.unlink()
        data.use_features(backbone, progress)

    def bare() -> None:
        with torch.inference_mode():
            for images in ready:
                backbone.forward_features(images)

    with computing(device) as clock:
        return side_by_side("features to bare network", 0.83, len(pixels), kept, bare, 3, clock=clock)


def _pruning(path: Path) -> Measurement:
    """The demo study with its pruner and without, and what share of the epochs the pruner saves."""
    path.mkdir()
    plan = load_study(config_file("demo", "studies"), [f"data.root={path / 'set'}"])
    unpruned = Plan(plan.settings.model_copy(update={"pruner": NoPrunerSettings()}), plan.base)
    reports = [
        run_study(which, StudyFolder(path / name), StudyProgress())
        for name, which in (("pruned", plan), ("whole", unpruned))
    ]
    pruned, whole = reports
    saved = 1 - pruned.epochs / whole.epochs
    best = [next(row.values for row in report.trials if row.number == report.best) for report in reports]
    scores = [f"{values[0]:.3f}" if values and values[0] is not None else "none" for values in best]
    return Measurement(
        "epochs pruning saves",
        saved,
        None,
        None,
        None,
        pruned.epochs,
        whole.epochs,
        unit="epochs",
        note=f"of the demo study; best score {scores[0]}, {scores[1]} without",
    )
