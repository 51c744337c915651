"""The command line. Nothing is imported here that takes time: a Ctrl-C while it is, too, ends in one line."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

PRINTING = {
    "serve": "Try a run on a local page: drop an image, and every head answers.",
    "report": "Show a run's report and draw its page.",
    "runs": "List runs with their scores.",
    "compare": "Show what differs between runs, in settings and in scores.",
    "config": "Print a config resolved, or what is wrong with it.",
    "cache": "Show, make or clear what is kept on disk of decoded images.",
}
"""The commands whose output is all that they are for: they end where nobody reads it any more."""

COMMANDS = {
    "demo": "Draw a set, train on it, evaluate and answer: the whole path in two minutes.",
    "synth": "Make a set in the competition's layout: drawn, or of any portraits.",
    "init": "Look at a folder or a table, and write a config that trains on it.",
    "eda": "Look at the data before anything is learned of it.",
    "train": "Train a config's run and report on the groups that validate.",
    "study": "Tune settings with Optuna, and confirm that the gain is real.",
    "bakeoff": "Compare contenders on equal terms, group by group.",
    "recipe": "Better a config stage by stage within a budget, keeping what gains on fresh groups.",
    "evaluate": "Score a run on one of its splits.",
    "audit": "Find labels that are probably wrong, and train again on corrections.",
    "ensemble": "Make one run of several that answer together.",
    "final": "Train the config of a run in folds on all groups.",
    "pseudo": "Label unlabelled images with the heads that are sure, to train on them too.",
    "predict": "Answer new images with a run.",
    "explain": "Show where in images the evidence for a run's answers lies.",
    "export": "Write a run as one ONNX file, checked against it.",
    **PRINTING,
    "bench": "Measure speed on this machine, as ratios.",
}
"""The table of commands: each is ``command`` in the module of its name."""

SEVERAL_PROCESSES = {"train", "predict", "evaluate", "cache"}
"""The commands that work over the processes of ``torchrun``; the others refuse it."""

# What a user can mend: a full disk, a quota, a file too large, a place where one may not write, is no folder, is gone.
_MENDABLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR,
    errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE,
}  # fmt: skip


def main() -> None:
    """The console script. What a user can mend is one line on the error stream and exit code 2; Ctrl-C is 130."""
    # Of children, those too that libraries start: a file in the working folder never stands in for a module.
    os.environ["PYTHONSAFEPATH"] = "1"
    if not _matplotlib_can_write():  # else it warns of having made a folder
        os.environ.setdefault("MPLCONFIGDIR", f"/tmp/multitask-matplotlib-{os.getuid()}")
    with _interrupts():
        from multitask.cli.streams import lasting_streams

        command = next((word for word in sys.argv[1:] if not word.startswith("-")), "--help")
        worth_a_note = command in COMMANDS and command not in PRINTING
        with lasting_streams("note: nobody reads the output any more; it goes on" if worth_a_note else ""):
            _run()


def _matplotlib_can_write() -> bool:
    """Whether it can write to the folders that it has in a home."""
    for name, usual in (("XDG_CONFIG_HOME", "~/.config"), ("XDG_CACHE_HOME", "~/.cache")):
        place = os.path.expanduser(os.environ.get(name) or usual)
        if not os.path.isabs(place):
            return False
        place = os.path.join(place, "matplotlib")
        while not os.path.lexists(place):
            place = os.path.dirname(place)
        if not (os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK)):
            return False
    return True


def _run() -> None:
    from multitask.cli.group import cli
    from multitask.errors import UserError

    try:
        try:
            cli()
        finally:
            sys.stdout.flush()  # here, where a full disk behind it can still be told
    except UserError as error:
        message = str(error)
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        message = f"{error.filename or 'a file'}: {error.strerror}"
    except Exception as error:
        from multitask.settings.extensions import note_own_code

        note_own_code(error)
        raise
    else:
        return
    from multitask.reporting.console import fail

    fail(message)
    sys.exit(2)


@contextmanager
def _interrupts() -> Iterator[None]:
    """Ctrl-C and SIGTERM end with code 130, what was begun removed, and without a traceback.

    Also where a library's import makes another error of it.
    """
    heard = False

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal heard
        heard = True
        raise KeyboardInterrupt

    # Not where one is ignored, as Ctrl-C in the background of a script.
    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = [number for number, handler in usual.items() if signal.getsignal(number) == handler]
    for number in ours:
        signal.signal(number, hear)
    try:
        yield
    except SystemExit:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or heard:  # who has told of it ends with SystemExit
            with suppress(OSError, ValueError):
                sys.stderr.write("error: interrupted\n")
            sys.exit(130)
        raise
    finally:
        for number in ours:
            if signal.getsignal(number) is hear:
                signal.signal(number, usual[number])
