"""The page that answers the images that are dropped on it."""

from __future__ import annotations

from multitask.reporting.html import policy_of, render

TEMPLATE = "serve.html"


def render_live(run: str, tasks: tuple[str, ...], max_bytes: int, has_maps: bool) -> tuple[str, str]:
    """The page, and its content security policy, which its server says once more.

    Args:
        run: the run's name.
        tasks: the tasks' names.
        max_bytes: of an image's file that is taken.
        has_maps: whether answers have maps.
    """
    page = render(
        TEMPLATE, title=f"{run} · try it", run=run, tasks=", ".join(tasks), max_bytes=max_bytes, has_maps=has_maps
    )
    return page, policy_of(TEMPLATE)
