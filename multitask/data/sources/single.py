"""The sources that read one folder."""

from __future__ import annotations

from typing import Annotated

from multitask.data.sources.competition import CompetitionSettings
from multitask.data.sources.folders import FoldersSettings
from multitask.data.sources.synthetic import SyntheticSettings
from multitask.data.sources.table import TableSettings
from multitask.settings.schema import variants

Single = CompetitionSettings | SyntheticSettings | TableSettings | FoldersSettings
"""The table of sources: a new one is a class in a file of its own, and a name here."""

AnySingle = Annotated[Single, *variants("table")]
"""One of several sources that are mixed."""
