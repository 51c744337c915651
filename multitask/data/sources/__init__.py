"""Sources of samples, one file per layout."""

from typing import Annotated

from multitask.data.sources.base import SourceSettings
from multitask.data.sources.competition import CompetitionSettings
from multitask.data.sources.folders import FoldersSettings
from multitask.data.sources.several import SeveralSettings
from multitask.data.sources.single import Single
from multitask.data.sources.synthetic import SyntheticSettings
from multitask.data.sources.table import TableSettings
from multitask.settings.schema import variants

AnySource = Annotated[Single | SeveralSettings, *variants("competition")]
"""All sources: those that read one folder, which stand in ``single.py``, and several of them mixed."""

__all__ = [
    "AnySource",
    "CompetitionSettings",
    "FoldersSettings",
    "SeveralSettings",
    "SourceSettings",
    "SyntheticSettings",
    "TableSettings",
]
