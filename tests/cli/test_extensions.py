"""Extensions on the command line: every command that reads a config asks for leave, and none runs code without it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config
from multitask.losses import LOSSES
from multitask.settings.extensions import temporary_extensions
from multitask.settings.yaml_text import dump_yaml, read_yaml

Call = Callable[..., Any]
ALLOW = "--allow-extensions"

BRIER = """
from typing import Literal

from multitask.losses import LOSSES
from multitask.losses.classwise import PlainSettings


class BrierSettings(PlainSettings):
    name: Literal["brier"] = "brier"

    def per_class(self, log_probs):
        probs = log_probs.exp()
        return (probs**2).sum(dim=1, keepdim=True) - 2 * probs + 1


LOSSES["brier"] = BrierSettings
"""


@pytest.fixture(scope="module")
def folder(tiny: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config that names a file of code, beside it, and uses its loss."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "my_losses.py").write_text(BRIER)
    changes = {"training.epochs": 1, "training.schedule.warmup_epochs": 0}
    data = {"extensions": ["my_losses.py"], **tiny(changes).model_dump(mode="json")}
    data["heads"]["age"]["loss"] = "brier"
    (folder / "mine.yaml").write_text(dump_yaml(data))
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of it."""
    from multitask.config import load_config
    from multitask.runs.run import run

    out = tmp_path_factory.mktemp("runs") / "mine"
    with temporary_extensions():
        run(load_config(folder / "mine.yaml", allow_extensions=True), out)
    return out


@pytest.fixture(autouse=True)
def _gone_afterwards() -> Iterator[None]:
    with temporary_extensions():
        yield


def write_study(folder: Path, out: Path) -> Path:
    path = out / "study.yaml"
    space = {"heads.age.loss.name": {"kind": "categorical", "choices": ["brier", "focal"]}}
    settings = {"name": "mine", "base": str(folder / "mine.yaml"), "budget": {"trials": 2}, "space": space}
    path.write_text(dump_yaml(settings))
    return path


def write_bakeoff(folder: Path, out: Path) -> Path:
    path = out / "bakeoff.yaml"
    contenders = {"brier": None, "focal": {"overrides": {"heads.age.loss.name": "focal"}}}
    settings = {"name": "mine", "base": str(folder / "mine.yaml"), "contenders": contenders, "seeds": [1, 2]}
    path.write_text(dump_yaml(settings))
    return path


def test_every_command_that_reads_a_config_refuses_in_a_line(
    call: Call, folder: Path, trained: Path, tmp_path: Path
) -> None:
    config, out = folder / "mine.yaml", tmp_path / "out"
    kept = trained / "config.yaml"
    lines: list[tuple[Path, list[object]]] = [
        (config, ["config", config]),
        (config, ["train", config, "--out", out]),
        (config, ["eda", config, "--out", tmp_path / "eda.html"]),
        (config, ["bench", config]),
        (config, ["cache", config]),
        (config, ["study", write_study(folder, tmp_path), "--out", out]),
        (config, ["bakeoff", write_bakeoff(folder, tmp_path), "--out", out]),
        (kept, ["evaluate", trained]),
        (kept, ["report", trained]),
        (kept, ["predict", trained, "--data", tmp_path, "-o", tmp_path / "answers.csv"]),
        (kept, ["audit", trained]),
    ]
    for where, words in lines:
        line = call(*words).refusal()
        said = f"{where}: extensions: {folder / 'my_losses.py'} is code, which can do anything that you can; look at it"
        assert line.startswith((said, f"contenders.brier: {said}")), words
        assert line.endswith(f"then say {ALLOW}")
        assert "brier" not in LOSSES
    assert not out.exists()


def test_runs_and_compare_read_folders_without_running_their_code(
    call: Call, folder: Path, trained: Path, tiny: Callable[..., Config], tmp_path: Path
) -> None:
    one, other = tmp_path / "runs" / "one", tmp_path / "runs" / "other"
    shutil.copytree(trained, one)
    shutil.copytree(trained, other)
    data = read_yaml(other / "config.yaml")
    data["heads"]["age"]["loss"] = {"name": "focal", "gamma": 3.0}
    data.pop("extensions")
    (other / "config.yaml").write_text(dump_yaml(data))
    listed = call("runs", tmp_path / "runs")
    assert listed.code == 0
    assert "one" in listed.out
    compared = call("compare", one, other)
    assert compared.code == 0, compared.err
    assert "brier" in compared.out
    assert "focal" in compared.out
    assert "brier" not in LOSSES


def test_compare_says_where_a_damaged_config_with_extensions_is(call: Call, trained: Path, tmp_path: Path) -> None:
    one = shutil.copytree(trained, tmp_path / "one")
    data = read_yaml(one / "config.yaml")
    data["labels"]["tasks"]["age"]["kind"] = "mine"
    (one / "config.yaml").write_text(dump_yaml(data))
    line = call("compare", one, trained).refusal()
    assert line.startswith(f"{one / 'config.yaml'}: labels.tasks.age.kind: unknown kind 'mine'; did you mean ")
    assert line.endswith("(its extensions are not imported here)")


def test_with_leave_a_run_is_what_it_is_with_any_loss(call: Call, folder: Path, trained: Path, tmp_path: Path) -> None:
    assert read_yaml(trained / "config.yaml")["extensions"] == [str(folder / "my_losses.py")]
    shown = call("config", folder / "mine.yaml", ALLOW)
    assert shown.code == 0, shown.err
    assert "brier" in shown.out
    copy = shutil.copytree(trained, tmp_path / "copy")
    assert call("evaluate", copy, ALLOW, "-q").code == 0
    resumed = call("train", folder / "mine.yaml", "--out", copy, "--resume", ALLOW, "-q")
    assert resumed.code == 0, resumed.err
    plain = {key: value for key, value in read_yaml(folder / "mine.yaml").items() if key != "extensions"}
    (tmp_path / "plain.yaml").write_text(dump_yaml({**plain, "heads": {}}))
    line = call("train", tmp_path / "plain.yaml", "--out", copy, "--resume", "--set", "heads.age.loss=focal").refusal()
    assert line.startswith("extensions: the run in ")


def test_an_interrupt_says_the_leave_again(
    monkeypatch: pytest.MonkeyPatch, call: Call, folder: Path, trained: Path, tmp_path: Path
) -> None:
    import multitask.runs.run as module

    def interrupted(*_: object, **__: object) -> None:
        shutil.copytree(trained, tmp_path / "out")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run", interrupted)
    stopped = call("train", folder / "mine.yaml", "--out", tmp_path / "out", ALLOW, "-q")
    assert stopped.code == 130
    assert stopped.err.strip().endswith(f"--resume {ALLOW}")


def test_a_studys_workers_import_what_the_launch_may_and_its_folder_runs_nothing_later(
    call: Call, folder: Path, tmp_path: Path, forked_workers: None
) -> None:
    out = tmp_path / "out"
    with temporary_extensions():
        done = call("study", write_study(folder, tmp_path), "--out", out, ALLOW, "-q")
        assert done.code == 0, done.err
        assert call("report", out).code == 0, "what has run needs no leave again"
    used = [read_yaml(path)["heads"]["age"]["loss"]["name"] for path in sorted(out.glob("trials/*/config.yaml"))]
    assert len(used) == 2
    assert "brier" in used
    line = call("report", out).refusal()
    assert line.startswith(f"{out / 'study.yaml'}: extensions: {folder / 'my_losses.py'} is code")
    assert "brier" not in LOSSES


def test_contenders_of_a_bakeoff_may_use_it_where_the_line_allows(call: Call, folder: Path, tmp_path: Path) -> None:
    file, out = write_bakeoff(folder, tmp_path), tmp_path / "out"
    with temporary_extensions():
        done = call("bakeoff", file, "--out", out, ALLOW, "-q")
        assert done.code == 0, done.err
    used = [read_yaml(path)["heads"]["age"]["loss"]["name"] for path in out.rglob("config.yaml")]
    assert sorted(used) == ["brier", "brier", "focal", "focal"]
    shown = call("report", out)  # of figures alone
    assert shown.code == 0, shown.err
    assert "brier" in shown.out
    assert "brier" not in LOSSES


def test_an_audit_trains_again_with_it_where_the_line_allows(
    call: Call, folder: Path, tiny: Callable[..., Config], tmp_path: Path
) -> None:
    run, out = tmp_path / "run", tmp_path / "audit"
    line = ["--set", "data.val_fraction=0.2", "--folds", 2, "--out", run, "-q"]
    with temporary_extensions():
        trained = call("train", folder / "mine.yaml", *line, ALLOW)
        assert trained.code == 0, trained.err
    assert call("audit", run, "--out", out).refusal().endswith(f"then say {ALLOW}")
    with temporary_extensions():
        assert call("audit", run, "--out", out, "-q", ALLOW).code == 0
    image, _, worn, *_ = (run / "predictions-val.csv").read_text().splitlines()[1].split(",")
    correction = {"path": image, "field": "mask", "from": worn, "to": "wear" if worn != "wear" else "not_worn"}
    about = {"reason": "r", "source": "s", "tier": "medium"}
    (out / "corrections.yaml").write_text(dump_yaml({"corrections": [correction | about]}))
    line = call("audit", run, "--out", out, "--apply").refusal()
    assert line.startswith(f"{run / 'config.yaml'}: extensions: {folder / 'my_losses.py'} is code")
    assert not (out / "applied").exists()
    assert "brier" not in LOSSES
    with temporary_extensions():
        done = call("audit", run, "--out", out, "--apply", ALLOW)
        assert done.code == 0, done.err
    kept = read_yaml(out / "applied" / "run" / "config.yaml")
    assert kept["heads"]["age"]["loss"]["name"] == "brier"
    assert kept["extensions"] == [str(folder / "my_losses.py")]
