"""The folder of an audit.

It holds ``audit.json``, ``audit.html`` and ``suspects.yaml``, a corrections file of the suspects that are more probably
wrong than right, unreviewed; where corrections were applied, ``applied/`` with them, the run that was trained on them,
and ``report.json``, the scores before and after.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AuditFolder:
    """The files of an audit."""

    path: Path

    @property
    def page(self) -> Path:
        """``audit.html``, the page on which suspects are reviewed."""
        return self.path / "audit.html"

    @property
    def figures(self) -> Path:
        """``audit.json``, the findings."""
        return self.path / "audit.json"

    @property
    def suspects(self) -> Path:
        """``suspects.yaml``, the surest suspects as corrections."""
        return self.path / "suspects.yaml"

    @property
    def accepted(self) -> Path:
        """``corrections.yaml``, the page's export, which is applied where no file is named."""
        return self.path / "corrections.yaml"

    @property
    def applied(self) -> Path:
        """The folder of the run on corrected labels."""
        return self.path / "applied"

    @property
    def report(self) -> Path:
        """The scores before and after the corrections."""
        return self.applied / "report.json"
