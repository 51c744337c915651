"""``engine: auto``: the fastest engine that is installed and gives the same outputs.

Of an exported file the installed engines compute a few batches of noise in turn. Those whose log-probabilities differ
from the first one's by more than ``TOLERANCE`` are out; of the others that is taken which needs the least time for
``JOB`` images, its opening included, and remembered in the cache for that file, these versions and this number of
threads. A run is computed by PyTorch, unless it computes on the CPU and its float32 export is in the cache already, as
``--engine onnxruntime`` leaves it there: then that file is taken.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from multitask.data.images import Pixels
from multitask.errors import UserError
from multitask.evaluation.decode.outputs import finite_log_probs
from multitask.evaluation.metrics import FloatArray
from multitask.inference.engines.base import ENGINES, Engine, EngineSettings
from multitask.inference.engines.exported import ExportedEngine, ExportedSettings
from multitask.inference.export.cache import cached_path, remembered_path
from multitask.inference.export.exported import Exported, read_exported
from multitask.utils.files import write_atomically
from multitask.utils.ranks import ranks

TOLERANCE = 1e-3
"""Of log-probabilities, relative where they are beyond 1: engines round each in its own way. In int8 they may differ by
more and yet be right, but one that is wrong there (OpenVINO 2026.4.1 on MobileNetV2) differs on noise by no more than
that, so of such a file the first engine is taken."""
JOB = 2_000
"""Images: an engine that compiles a network for a second has to win it back within so many."""
_BATCH = 16
_ROUNDS = 3


def open_fastest(path: Path, device: str | None, allow_extensions: bool) -> Engine:
    """The engine that ``auto`` means, with a run's folder or an exported file; over several processes that of rank 0.

    Raises:
        UserError: no engine that opens the path is installed, none can compute it, or it is damaged; the device is not
            one that they compute on.
    """
    opened: list[Engine] = []

    def choose() -> EngineSettings:
        settings, engine = _fastest(path, device, allow_extensions)
        opened.append(engine)
        return settings

    settings = ranks().from_main(choose)
    return opened[0] if opened else settings.open(path, device, allow_extensions)


def _fastest(path: Path, device: str | None, allow_extensions: bool) -> tuple[EngineSettings, Engine]:
    if not path.is_dir():
        if device not in (None, "auto", "cpu"):
            raise UserError(f"device: exported files are computed on the CPU, found {device}")
        return _fastest_of_file(read_exported(path))
    if device in (None, "auto", "cpu"):
        kept = _kept_export(path, allow_extensions)
        if kept is not None:
            return _fastest_of_file(kept)
    settings = ENGINES[ENGINES.default].model_validate({})
    return settings, settings.open(path, device, allow_extensions)


def _kept_export(path: Path, allow_extensions: bool) -> Exported | None:
    """The float32 export of a run that computes on the CPU, where one is in the cache and an engine for it is there."""
    if not any(cached_path("*", "fp32").parent.glob(cached_path("*", "fp32").name)) or not _installed():
        return None

    from multitask.runs.config import read_run

    trained = read_run(path, allow_extensions=allow_extensions)  # before what takes seconds to import

    from multitask.inference.run_spec import run_spec
    from multitask.training.device import resolve_device

    if resolve_device(trained.config.device).type != "cpu":
        return None
    try:
        return read_exported(cached_path(run_spec(trained).fingerprint, "fp32"))
    except UserError:  # not there, or damaged
        return None


def _installed() -> list[ExportedSettings]:
    rows = [row.model_validate({}) for row in ENGINES.values() if issubclass(row, ExportedSettings)]
    return [settings for settings in rows if settings.missing() is None]


def _fastest_of_file(exported: Exported) -> tuple[ExportedSettings, ExportedEngine]:
    rows = {settings.name: settings for settings in _installed()}
    if not rows:
        problems = [row.model_validate({}).missing() for row in ENGINES.values() if issubclass(row, ExportedSettings)]
        raise UserError(f"{exported.path}: {problems[0] if problems else 'no engine opens exported files'}")
    memory = remembered_path(exported.record.digest)
    key = _key(rows)
    known = _remembered(memory, key)
    if len(rows) == 1 or known in rows:
        settings = rows[known or next(iter(rows))]
        return settings, settings.open_exported(exported)
    engines, opening_s = _opened(rows, exported)
    name = next(iter(engines)) if len(engines) == 1 else race(engines, opening_s, exported)
    with contextlib.suppress(OSError):  # a cache that cannot be written to costs the race again
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(memory, json.dumps({"key": key, "engine": name}))
    return rows[name], engines[name]


def _opened(
    rows: dict[str, ExportedSettings], exported: Exported
) -> tuple[dict[str, ExportedEngine], dict[str, float]]:
    """The engines that can compute the file, and the seconds that it took to open each."""
    engines, opening_s, errors = {}, {}, []
    for name, settings in rows.items():
        began = time.perf_counter()
        try:
            engines[name] = settings.open_exported(exported)
        except UserError as error:
            errors.append(error)
        opening_s[name] = time.perf_counter() - began
    if not engines:
        raise errors[0]
    return engines, opening_s


def race(engines: Mapping[str, ExportedEngine], opening_s: Mapping[str, float], exported: Exported) -> str:
    """The name of the engine that is done with ``JOB`` images first, of those whose outputs are the first one's.

    Args:
        engines: by name, each with the same file.
        opening_s: seconds that it took to open each.
        exported: the file.
    """
    size = (min(exported.spec.batch_size, _BATCH), *exported.spec.image_size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    reference = next(iter(engines.values())).log_probs(pixels)
    equal = {name: one for name, one in engines.items() if largest_gap(one.log_probs(pixels), reference) <= TOLERANCE}
    batch_s = {name: min(_seconds(one, pixels) for _ in range(_ROUNDS)) for name, one in equal.items()}
    return min(batch_s, key=lambda name: opening_s[name] + batch_s[name] * JOB / len(pixels))


def largest_gap(found: Mapping[str, FloatArray], reference: Mapping[str, FloatArray]) -> float:
    """The largest |a - b| / max(1, |b|) of two engines' log-probabilities, none of which counts as below -10,000.

    >>> one, other = np.array([[0.0, -np.inf]]), np.array([[0.0, -4.0]])
    >>> largest_gap({"mask": one}, {"mask": one}), largest_gap({"mask": one}, {"mask": other})
    (0.0, 2499.0)
    """
    pairs = ((finite_log_probs(found[name]), finite_log_probs(values)) for name, values in reference.items())
    return max((float(np.max(np.abs(one - two) / np.maximum(1, np.abs(two)))) for one, two in pairs), default=0.0)


def _seconds(engine: ExportedEngine, pixels: Pixels) -> float:
    began = time.perf_counter()
    engine.log_probs(pixels)
    return time.perf_counter() - began


def _key(rows: dict[str, ExportedSettings]) -> str:
    """What a race's outcome depends on beside the file and the machine."""
    parts = []
    for name, settings in rows.items():
        try:
            found = version(settings.modules[0])
        except (PackageNotFoundError, IndexError):
            found = ""
        parts.append(f"{name} {found} {settings.threads()}")
    return ", ".join([*parts, f"{JOB} images, within {TOLERANCE:g}"])


def _remembered(path: Path, key: str) -> str | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return str(data["engine"]) if data["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
