"""Contract suites that can be run over a row of one's own, and what tests of rows need."""

from multitask.settings.extensions import temporary_extensions

__all__ = ["temporary_extensions"]
