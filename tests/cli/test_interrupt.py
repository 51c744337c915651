"""Real processes: Ctrl-C and SIGTERM save and say how to go on; a terminal gets bars, a pipe plain lines."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyte
import pytest

from multitask.testing import tiny_run
from multitask.utils.ranks import launcher_words
from tests.over_ranks import free_port
from tests.processes import Forked, run_forked, stops_after, wait_until_stopped

MULTITASK = [sys.executable, "-m", "multitask"]
HERE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, with its set beside it."""
    return tiny_run(tmp_path_factory.mktemp("alone"))


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process ended early"
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


EPOCH = "multitask.runs.folder:RunFolder.write_history"
"""After which an epoch is saved."""
READS = "multitask.reporting.progress:PlainProgress.stage"


def go_on(number: signal.Signals, *processes: subprocess.Popen[bytes]) -> None:
    """Sends a signal to processes once they have stopped themselves, which they hear as they go on."""
    for process in processes:
        wait_until_stopped(process)
    for each in (number, signal.SIGCONT):
        for process in processes:
            process.send_signal(each)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE), **more}


def watched(
    words: tuple[str, ...], folder: Path, columns: int, start: type[subprocess.Popen[bytes]] = Forked
) -> tuple[list[str], str]:
    """What a terminal of ``columns`` showed each time that the bars were about to be drawn anew, and what it kept.

    However the system cuts the bytes: rich begins a frame by going back to the start of the line before.
    """
    screen = pyte.Screen(columns, 120)
    stream = pyte.ByteStream(screen)
    master, slave = pty.openpty()
    process = start(
        [*MULTITASK, *words, "--out", "run"],
        stdout=slave,
        stderr=slave,
        stdin=slave,
        cwd=folder,
        env=environment(COLUMNS=str(columns), LINES="120", TERM="xterm-256color"),
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            shown += os.read(master, 4096)
        except OSError:  # the other side is closed
            break
    os.close(master)
    assert process.wait(timeout=60) == 0
    frames = []
    for part in re.split(rb"(?=\r\x1b\[2K)", shown):
        stream.feed(part)
        frames.append("\n".join(line.rstrip() for line in screen.display).rstrip())
    return [frame for frame in frames if "━" in frame], frames[-1]


@pytest.mark.parametrize(
    ("number", "start"),
    [(signal.SIGINT, subprocess.Popen), (signal.SIGTERM, Forked)],
    ids=["2", "15"],  # the first one in a fresh interpreter
)
def test_an_interrupt_saves_and_says_how_to_go_on(
    config_file: Callable[..., Path], tmp_path: Path, number: signal.Signals, start: type[subprocess.Popen[bytes]]
) -> None:
    out = tmp_path / "run"
    config = config_file({"training.epochs": 2000})
    process = start(
        [*MULTITASK, "train", str(config), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    wait_for((out / "metrics.jsonl").exists, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    text = errors.decode().strip()
    assert "Traceback" not in text
    assert "\n" not in text
    found = re.fullmatch(r"error: interrupted; (\d+) finished (?:epochs are|epoch is) saved\. Go on with: (.+)", text)
    assert found, text
    assert ("epoch is" in text) == (found[1] == "1")
    assert int(found[1]) == len((out / "metrics.jsonl").read_text().splitlines()) >= 1
    program, *words = shlex.split(found[2])
    assert program == "multitask"
    # The line that was given goes on: it is interrupted again as soon as it has done one epoch more.
    again = Forked([*MULTITASK, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    wait_for(lambda: len((out / "metrics.jsonl").read_text().splitlines()) > int(found[1]), again)
    again.send_signal(signal.SIGINT)
    printed, _ = again.communicate(timeout=60)
    assert f"training: epochs {int(found[1]) + 1} to 2000" in printed.decode()


def test_an_interrupt_between_folds_saves_and_says_how_to_go_on(
    config_file: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    config = config_file({"training.epochs": 3, "data.val_fraction": 0.2})
    process = Forked(
        [*MULTITASK, "train", str(config), "--folds", "3", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**stops_after(EPOCH, "args[0].path.name == '1'")),
    )
    go_on(signal.SIGINT, process)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    text = errors.decode().strip()
    found = re.fullmatch(
        r"error: interrupted; 1 finished fold of 3 and (\d) finished epochs? of others are saved\. Go on with: (.+)",
        text,
    )
    assert found, text
    assert int(found[1]) >= 1
    program, *words = shlex.split(found[2])
    assert program == "multitask"
    again = run_forked([*MULTITASK, *words], env=environment())
    assert again.returncode == 0, again.stderr
    printed = again.stdout.decode()
    assert "fold 0, 1 of 3: finished before" in printed
    assert "fold 2, 3 of 3\n" in printed
    assert "macro-F1 by fold" in printed


@pytest.mark.parametrize("folds", [(), ("--folds", "3")], ids=["one run", "folds"])
def test_an_interrupt_before_training_leaves_nothing(
    folds: tuple[str, ...], config_file: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = Forked(
        [*MULTITASK, "train", str(config_file({"data.val_fraction": 0.2})), *folds, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**stops_after(READS, "args[1] == 'reading images'")),
    )
    go_on(signal.SIGINT, process)
    printed, errors = process.communicate(timeout=60)
    assert b"reading images" in printed
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert b"interrupted before training began; nothing was written" in errors
    assert not out.exists()


def test_an_interrupt_of_which_a_library_makes_another_error_is_told() -> None:
    lines = [
        "import os, signal",
        "from multitask.cli import _interrupts",
        "with _interrupts():",
        "    try:",
        "        os.kill(os.getpid(), signal.SIGINT)",
        "    except KeyboardInterrupt:",
        "        raise ImportError('made of it') from None",
    ]
    done = run_forked([sys.executable, "-c", "\n".join(lines)], text=True, env=environment())
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")


def test_a_terminal_gets_a_table_for_every_fold(config_file: Callable[..., Path], tmp_path: Path) -> None:
    frames, after = watched(("train", str(config_file({"data.val_fraction": 0.2})), "--folds", "2"), tmp_path, 100)
    # However many folds there were, there is one bar of each kind.
    assert max(frame.count("batch    ━") for frame in frames) == 1
    assert "━" not in after
    assert len(re.findall(r"^fold [01], [12] of 2\n +epoch +loss +joint", after, re.M)) == 2, after
    assert len(re.findall(r"^ +[12]/2 +\d\.\d+", after, re.M)) == 4, after
    assert "macro-F1 by fold" in after


@pytest.mark.parametrize(
    ("columns", "start"),
    [(80, Forked), (120, subprocess.Popen)],
    ids=["80", "120"],  # the latter in a fresh interpreter
)
def test_a_terminal_gets_bars_and_a_table(
    config_file: Callable[..., Path], tmp_path: Path, columns: int, start: type[subprocess.Popen[bytes]]
) -> None:
    frames, after = watched(("train", str(config_file())), tmp_path, columns, start)
    # One whole frame among them is what is asked for: the run draws one with every row of its table.
    assert any(
        all(during.count(bar) == 1 for bar in ("run      ━", "epoch    ━", "batch    ━"))
        and re.search(r"epoch .* images/s", during)
        and re.search(r"batch .* mask \d\.\d+ gender \d", during)
        for during in frames
    ), "\n\n".join(frames)

    assert "━" not in after  # the bars go, the table stays
    assert re.search(r"^ +epoch +loss +joint +mask +gender +age +s +images/s$", after, re.M), after
    assert len(re.findall(r"^ +[12]/2 +\d\.\d+( +\.\d+){4} +\d+\.\d +\d+( ★)?$", after, re.M)) == 2, after
    assert "★" in after
    assert "perfect" in after
    assert "run/report.html" in after


def launch(words: list[str], folder: Path, **more: str) -> list[subprocess.Popen[bytes]]:
    """Two processes of one launch, with variables of the environment in addition."""
    where = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [
        Forked(
            [*MULTITASK, *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(RANK=str(rank), LOCAL_RANK=str(rank), **where, **more),
        )
        for rank in range(2)
    ]


def told(processes: list[subprocess.Popen[bytes]]) -> list[str]:
    """The errors on the streams of processes, once all have ended; PyTorch may warn beside them of who is gone."""
    lines = [line for process in processes for line in process.communicate(timeout=120)[1].decode().splitlines()]
    assert not any(line.startswith("Traceback") for line in lines), lines
    return [line for line in lines if line.startswith("error: ")]


def test_a_job_over_two_processes_ends_with_one_line(trained_alone: Path, tmp_path: Path) -> None:
    images = sorted((trained_alone.parent / "set").rglob("*.jpg"))
    (tmp_path / "many.txt").write_text("\n".join(map(str, images * 500)))
    job = ["predict", str(trained_alone), "many.txt", "-o", "out.csv"]
    processes = launch(job, tmp_path)
    for process in processes:
        wait_for(lambda: any(tmp_path.glob(".out.csv.*")), process)
    for process in processes:
        process.send_signal(signal.SIGINT)
    assert told(processes) == ["error: interrupted"]
    assert {process.returncode for process in processes} <= {130, 2}
    assert [path.name for path in tmp_path.iterdir()] == ["many.txt"]
    processes = launch(["predict", str(trained_alone), "-", "-o", "out.csv"], tmp_path)
    [line] = told(processes)
    assert line.startswith("error: -: standard input is read by one process, but WORLD_SIZE is 2")
    assert [process.returncode for process in processes] == [2, 2]


@pytest.mark.parametrize("who", [0, 1])
def test_an_interrupt_of_one_of_two_processes_is_told_once(
    who: int, config_file: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = ["train", str(config_file({"training.epochs": 2000, "data.val_fraction": 0.2})), "--out", str(out)]
    processes = launch(words, tmp_path)
    wait_for((out / "metrics.jsonl").exists, processes[0])
    processes[who].send_signal(signal.SIGINT)
    [line] = told(processes)
    assert re.search("(is|are) saved", line)
    assert "--resume" in line
    assert ("Go on with: multitask train" in line) == (who == 0)
    assert {process.returncode for process in processes} <= {130, 2}


def test_an_interrupt_because_another_process_was_killed_is_told_as_that(
    config_file: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = ["train", str(config_file({"training.epochs": 2000, "data.val_fraction": 0.2})), "--out", str(out)]
    left, killed = processes = launch(words, tmp_path)
    wait_for((out / "metrics.jsonl").exists, left)
    left.send_signal(signal.SIGSTOP)  # so that it hears of the launcher before it may notice by itself
    killed.kill()
    killed.wait()
    left.send_signal(signal.SIGTERM)
    left.send_signal(signal.SIGCONT)
    [line] = told(processes)
    assert line.startswith("error: rank 0: another process of this launch is gone")
    assert "the same command goes on from them with --resume" in line
    assert left.returncode == 2


def test_the_line_to_go_on_with_is_the_launchers(monkeypatch: pytest.MonkeyPatch) -> None:
    where = {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "here", "MASTER_PORT": "29500"}
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", **where}.items():
        monkeypatch.setenv(name, value)
    assert launcher_words() == ["multitask"]
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert launcher_words() == ["torchrun", "--nproc-per-node", "4", "-m", "multitask"]
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert launcher_words() == ["torchrun", "--nnodes", "2", "...", "--nproc-per-node", "2", "-m", "multitask"]


def test_folds_over_two_processes_of_which_one_prints(config_file: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", str(config_file({"training.epochs": 20, "data.val_fraction": 0.2})), "--folds", "2"]
    words += ["--out", str(out)]
    processes = launch(words, tmp_path, **stops_after(EPOCH))
    go_on(signal.SIGINT, *processes)
    [line] = told(processes)
    assert [process.returncode for process in processes] == [130, 130]
    found = re.fullmatch(
        r"error: interrupted; 0 finished folds of 2 and (\d+) finished epochs? of others are saved\. Go on with: (.+)",
        line,
    )
    assert found, line
    assert int(found[1]) >= 2
    program, *words = shlex.split(found[2])
    assert program == "multitask"
    processes = launch(words, tmp_path)
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    printed = said[0][0].decode()
    assert "trained by the other 1 of 2 processes, and not shown: fold 1\n" in printed
    assert "fold 0, 1 of 2\n" in printed
    assert "fold 1, 2 of 2" not in printed
    assert "macro-F1 by fold" in printed
    assert said[1] == (b"", b"")


def test_images_are_decoded_ahead_by_two_processes_of_which_one_prints(
    config_file: Callable[..., Path], tmp_path: Path
) -> None:
    config = str(config_file({"data.cache": "disk"}))
    lone = run_forked([*MULTITASK, "cache", config, "--make", "--set", "data.cache_dir=one"], cwd=tmp_path)
    assert lone.returncode == 0, lone.stderr
    processes = launch(["cache", config, "--make", "--set", "data.cache_dir=two"], tmp_path)
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert "reading images" in said[0][0].decode()
    assert said[1] == (b"", b"")
    [one], [two] = (list((tmp_path / name).glob("*.npy")) for name in ("one", "two"))
    assert (one.name, one.read_bytes()) == (two.name, two.read_bytes())
    processes = launch(["cache", config], tmp_path)
    assert told(processes) == [
        "error: multitask cache: works in one process without --make, but WORLD_SIZE is 2; start it without torchrun"
    ]
    assert [process.returncode for process in processes] == [2, 2]
