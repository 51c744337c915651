"""The environment of a run: versions, code, machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import multitask
from multitask.runs.records import Commit, Environment, Machine

PACKAGES = ("torch", "torchvision", "timm", "albumentations", "opencv-python-headless", "pillow", "numpy", "optuna")


def environment(seed: int | None = None, device: torch.device | None = None) -> Environment:
    """The versions, the code and the machine that a run depends on beside its config, with its seed and device."""
    return Environment(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=(Path(sys.argv[0]).name, *sys.argv[1:]),
        versions=library_versions(),
        commit=_commit(),
        machine=machine(),
        seed=seed,
        device=None if device is None else str(device),
    )


def library_versions() -> dict[str, str]:
    """The versions of this package, of Python, and of the libraries that count."""
    versions = {"multitask": multitask.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def machine() -> Machine:
    """Processor, cores, threads and GPUs of this machine."""
    return Machine(
        system=platform.platform(),
        processor=_processor(),
        num_cores=len(os.sched_getaffinity(0)),
        num_threads=torch.get_num_threads(),
        gpus=tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())),
    )


def _commit() -> Commit | None:
    """The commit of this package's checkout and whether it was changed since; None outside a checkout."""
    folder = Path(multitask.__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        return Commit(git("rev-parse", "HEAD"), changed=bool(git("status", "--porcelain", "--", ".")))
    except (OSError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
