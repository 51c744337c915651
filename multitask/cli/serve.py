"""``multitask serve``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from multitask.cli.options import extensions_option, quiet_option, run_argument


@click.command()
@run_argument
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="To listen on; 0: any that is free."
)
@extensions_option
@quiet_option
def command(run: Path, port: int, allow_extensions: bool, quiet: bool) -> None:
    """Open a page on this machine where images are dropped, and every head of RUN answers with its heat map.

    RUN is a run's folder, or an exported file, which answers without maps. Only this machine can reach the page, and
    no image is kept. Ctrl-C ends it.
    """
    from multitask.runs.config import read_run

    if not run.is_file():
        read_run(run, allow_extensions=allow_extensions)  # what it lacks is said before the seconds that follow

    # Only now: what follows takes seconds to import.
    from multitask.inference.serve.answers import ExplainingAnswerer, load_answerer
    from multitask.inference.serve.server import MAX_BYTES, LocalServer
    from multitask.reporting.console import say
    from multitask.reporting.explain.live import render_live

    answerer = load_answerer(run, allow_extensions=allow_extensions)
    spec = answerer.spec
    has_maps = isinstance(answerer, ExplainingAnswerer)
    page, policy = render_live(spec.run, spec.space.task_names, MAX_BYTES, has_maps)
    with LocalServer(port, page, policy, answerer.answer) as server:
        try:
            say(server.address if quiet else f"{server.address}  (Ctrl-C ends it)")
            sys.stdout.flush()  # for a program that waits for the address
            server.serve_forever()
        except KeyboardInterrupt:
            if not quiet:
                say("stopped")
            sys.exit(130)
