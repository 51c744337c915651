"""A process with all that it has started."""

from __future__ import annotations

from contextlib import suppress

import psutil


def kill_tree(pid: int) -> None:
    """Kills a process and its descendants, those too that they are about to start; no error where it is gone."""
    stopped: dict[int, psutil.Process] = {}
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        found = [root]
        while found:  # until none is left that could start another
            for one in found:
                stopped[one.pid] = one
                with suppress(psutil.NoSuchProcess):
                    one.suspend()
            found = [one for one in root.children(recursive=True) if one.pid not in stopped]
    for one in stopped.values():
        with suppress(psutil.NoSuchProcess):
            one.kill()
